/**
 * The start page: leads into an existing room, or a new one.
 */
import { byId } from '../common/dom.js';
import { languageSwitch, translate } from '../common/i18n.js';
import { placeIcons } from '../common/icons.js';

placeIcons(document);
translate(document);
languageSwitch(byId('language'));

byId('join').addEventListener('submit', (event) => {
  event.preventDefault();
  const room = byId('room').value.trim();
  if (room) enter(room);
});
byId('create').addEventListener('click', () => enter(newRoomName()));

function enter(room) {
  location.assign(`/room?${new URLSearchParams({ groupId: room })}`);
}

/** Ten random letters: easy to read aloud, and hard to guess. */
function newRoomName() {
  const letters = 'abcdefghijkmnopqrstuvwxyz';
  const limit = 256 - (256 % letters.length);
  let name = '';
  while (name.length < 10) {
    const [byte] = crypto.getRandomValues(new Uint8Array(1));
    if (byte < limit) name += letters[byte % letters.length];
  }
  return `${name.slice(0, 3)}-${name.slice(3, 7)}-${name.slice(7)}`;
}
