/**
 * The room page: reads how it was opened, goes through the lobby if needed, into the call, and out again.
 */
import { LocalMedia } from '../client/local-media.js';
import { forgetAccessToken, isAccessToken, ownToken, ownerOf, tokenOwner } from '../client/own-token.js';
import { RoomClient } from '../client/room-client.js';
import { consent } from '../common/consent.js';
import { byId, showOnly } from '../common/dom.js';
import { languageSwitch, translate } from '../common/i18n.js';
import { placeIcons } from '../common/icons.js';
import { remembered } from '../common/preferences.js';
import { Call } from './call.js';
import { serveDeviceSelects } from './device-selects.js';
import { exposeDiagnostics } from './diagnostics.js';
import { guestId, readEntry } from './entry.js';
import { runLobby } from './lobby.js';
import { askOnNotice } from './notice-screen.js';

const SCREENS = [byId('lobby'), byId('notice'), byId('call')];
let client = null;
let call = null;

placeIcons(document);
translate(document);
document.querySelectorAll('select[data-language]').forEach(languageSwitch);

let entry = readEntry(location.search);
const media = new LocalMedia({
  // Apps that open the page with a user expect to be seen and heard; the lobby remembers the last choice.
  audio: entry.direct || remembered('microphone', 'on') === 'on',
  video: !entry.audioOnly && (entry.direct || remembered('camera', 'on') === 'on'),
  deviceIds: { audio: remembered('audioDevice'), video: remembered('videoDevice') },
});
exposeDiagnostics(() => ({ client, media }));
serveDeviceSelects(media, (deviceId) => call?.setOutput(deviceId));
// `pagehide` and not `beforeunload`, which a download started from the chat would fire, too.
addEventListener('pagehide', () => client?.leave());
addEventListener('pageshow', ({ persisted }) => persisted && location.reload());

if (entry.direct) await consent(question(entry));
else entry = await throughLobby(entry);
const firstToken = ownToken(entry.userId);
client = new RoomClient({ room: entry.room, userId: entry.userId, name: entry.name, token: firstToken });
call = new Call({ client, media, entry });
let options = { token: firstToken, password: entry.pin };
for (;;) {
  showOnly(byId('call'), SCREENS);
  media.open();
  const ending = await call.run(options);
  if (ending === 'left' || ending === 'replaced' || ending === 'stayOver' || ending === 'removed') media.close();
  if (ending === 'stayOver' || ending === 'tokenRefused') forgetAccessToken();
  showOnly(byId('notice'), SCREENS);
  options = await afterwards(ending, options);
}

/** The question about what a link of another site would do; with ids, because a link can put any name in front of a room. */
function question({ room, name, userId, audioOnly }) {
  return {
    titleKey: 'consent.room.title',
    textKey: audioOnly ? 'consent.room.audio' : 'consent.room.video',
    values: { room, name: name ? `${name} (${userId})` : userId },
    primaryKey: 'lobby.join',
  };
}

async function throughLobby(opened) {
  showOnly(byId('lobby'), SCREENS);
  const { name, room, pin } = await runLobby(media, opened);
  // A reload comes back to the lobby with everything filled in.
  const address = new URL(location.href);
  address.searchParams.set('groupId', room);
  history.replaceState(null, '', address);
  return { ...opened, name, room, pin, userId: opened.userId || tokenOwner() || guestId() };
}

/** Says why the call ended and asks what is needed to enter again. */
async function afterwards(ending, { password, token, userId = entry.userId }) {
  const values = { room: entry.roomTitle || entry.room, userId };
  switch (ending) {
    case 'permissionDenied': {
      const textKey = password ? 'password.wrong' : 'password.text';
      // Who was wrong may be a guest who needs none.
      const field = { labelKey: 'password.label', type: 'password', isOptional: Boolean(password) };
      return { userId, token, password: await askOnNotice({ titleKey: 'password.title', textKey, values, primaryKey: 'lobby.join', field }) };
    }
    case 'userNotFound': {
      const field = { labelKey: 'user.label', value: entry.direct ? userId : '' };
      const textKey = entry.direct ? 'user.text' : 'user.guest';
      const entered = await askOnNotice({ titleKey: 'user.title', textKey, values, primaryKey: 'lobby.join', field });
      return { password, token, userId: entered || userId };
    }
    case 'roomNotFound':
      await askOnNotice({ titleKey: 'room.title', textKey: 'room.text', values, primaryKey: 'again' });
      return { password, token, userId };
    case 'roomFull':
      await askOnNotice({ titleKey: 'full.title', textKey: 'full.text', values, primaryKey: 'again' });
      return { password, token, userId };
    case 'tokenMissing':
    case 'tokenRefused':
    case 'stayOver':
    case 'nameTaken': {
      const field = { labelKey: 'token.label', type: 'password' };
      const textKey = ending === 'tokenRefused' && isAccessToken(token) ? 'token.accessRefused' : `token.${ending}`;
      const titleKey = ending === 'stayOver' ? 'token.over' : 'token.title';
      const entered = await askOnNotice({ titleKey, textKey, values, primaryKey: 'lobby.join', field });
      return { password, userId: ownerOf(entered) || userId, token: entered };
    }
    case 'tooManyGuesses':
      await askOnNotice({ titleKey: 'guesses.title', textKey: 'guesses.text', values, primaryKey: 'again' });
      return { token, userId };
    case 'locked':
    case 'hostAbsent': {
      const field = { labelKey: 'host.ownPin', type: 'password', isOptional: true };
      const pin = await askOnNotice({ titleKey: `${ending}.title`, textKey: `${ending}.text`, values, primaryKey: 'again', field });
      return { password: pin || password, token, userId };
    }
    case 'removed':
      await askOnNotice({ titleKey: `${ending}.title`, textKey: `${ending}.text`, values, primaryKey: 'again' });
      return { password, token, userId };
    case 'replaced':
      await askOnNotice({ titleKey: 'replaced.title', textKey: 'replaced.text', values, primaryKey: 'replaced.here' });
      return { password, token, userId };
    default:
      await askOnNotice({ titleKey: 'left.title', textKey: 'left.text', values, primaryKey: 'left.rejoin' });
      return { password, token, userId };
  }
}
