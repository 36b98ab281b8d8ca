/**
 * How the page was opened, read from its address, and the address that invites others. Pure apart from ids.
 */
import { rememberedInTab } from '../common/preferences.js';

/**
 * `userId` and `groupId` together join at once; anything else leads to the lobby. `uid` and `channel` are other names of them:
 * those that the call API gives them, with the access token that lets the user into the channel (`token`).
 * @param {string} search the query of the page's address
 */
export function readEntry(search) {
  const query = new URLSearchParams(search);
  const value = (name) => (query.get(name) ?? '').trim();
  const entry = {
    userId: value('userId') || value('uid'),
    room: value('groupId') || value('channel'),
    name: value('userName'),
    roomTitle: value('groupName'),
    audioOnly: value('type') === 'audio',
  };
  return { ...entry, direct: entry.userId !== '' && entry.room !== '' };
}

/** Whether a room has the name of a channel: such a room is entered with an access token, and no link leads into it. */
export function isChannel(room) {
  return /^ch_[A-Za-z0-9]{10}$/.test(room);
}

/** The link that others open: they come through the lobby, where they say who they are. */
export function inviteLink({ room, roomTitle, audioOnly }) {
  const query = new URLSearchParams({ groupId: room });
  if (roomTitle) query.set('groupName', roomTitle);
  if (audioOnly) query.set('type', 'audio');
  return `${location.origin}/room?${query}`;
}

/**
 * An id for somebody who came through the lobby: a number, because some clients of this protocol know only
 * numbers, and the same one after a reload, so that the old session is replaced.
 */
export function guestId() {
  return rememberedInTab('guestId', () => {
    const [high, low] = crypto.getRandomValues(new Uint32Array(2));
    return String(1_000_000_000 + (high % 2 ** 20) * 2 ** 32 + low);
  });
}
