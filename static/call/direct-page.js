/**
 * Two people with the same number: `/static/demo/direct_chat.html?room_id=NUMBER`. Without a number it asks for one.
 */
import { LocalMedia } from '../client/local-media.js';
import { consent } from '../common/consent.js';
import { byId } from '../common/dom.js';
import { say, translate } from '../common/i18n.js';
import { remembered } from '../common/preferences.js';
import { DirectCall } from './direct-call.js';
import { CallScreen } from './screen.js';

const STATES = {
  connecting: 'call.connecting',
  waiting: 'direct.waiting',
  starting: 'call.starting',
};
const ENDINGS = {
  hungUp: 'call.ended',
  full: 'direct.full',
  replaced: 'call.replaced',
  tokenMissing: 'token.tokenMissing',
  tokenRefused: 'token.tokenRefused',
  nameTaken: 'token.nameTaken',
  failed: 'call.failed',
};

const room = new URLSearchParams(location.search).get('room_id')?.trim() ?? '';
translate(document);
if (room) await enter();
else ask();

async function enter() {
  const media = new LocalMedia({
    deviceIds: { audio: remembered('audioDevice'), video: remembered('videoDevice') },
  });
  const driver = new DirectCall({ room });
  byId('call-screen').hidden = false;
  globalThis.patchbay = { client: driver, media };
  const screen = new CallScreen(byId('call-screen'), driver, media, {
    states: STATES,
    endings: ENDINGS,
    again: (reason) => (reason === 'full' ? 'again' : 'direct.again'),
    invite: location.href,
  });
  addEventListener('pagehide', () => driver.hangUp());
  addEventListener('pageshow', ({ persisted }) => persisted && location.reload());
  await consent({
    titleKey: 'consent.direct.title',
    textKey: 'consent.direct.text',
    values: { number: room },
    primaryKey: 'direct.enter',
  });
  await media.open();
  screen.start();
}

function ask() {
  byId('notice').hidden = false;
  say(byId('notice-title'), 'direct.askTitle');
  say(byId('notice-text'), 'direct.askText');
  say(byId('notice-label'), 'direct.number');
  say(byId('notice-primary'), 'direct.enter');
  const input = byId('notice-input');
  input.required = true;
  input.focus();
  byId('notice-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const number = input.value.trim();
    if (number) location.assign(`?${new URLSearchParams({ room_id: number })}`);
  });
}
