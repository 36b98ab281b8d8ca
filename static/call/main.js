/**
 * The page of a call from one person to another, opened by an app once the callee has agreed:
 * `/?userId=CALLER&sendId=CALLEE&type=video|audio&callType=caller|callee`, on both sides with the same ids.
 *
 * The caller's page calls by itself, and the callee's page accepts by itself; with `answer=ask` it asks
 * first.
 */
import { CallClient } from '../client/call-client.js';
import { LocalMedia } from '../client/local-media.js';
import { ownToken } from '../client/own-token.js';
import { consent } from '../common/consent.js';
import { byId } from '../common/dom.js';
import { translate } from '../common/i18n.js';
import { remembered } from '../common/preferences.js';
import { CallScreen } from './screen.js';

const query = new URLSearchParams(location.search);
const value = (name) => (query.get(name) ?? '').trim();
const [caller, callee] = [value('userId'), value('sendId')];
const isCaller = value('callType') !== 'callee';
const audioOnly = value('type') === 'audio';
const asksFirst = value('answer') === 'ask';

const client = new CallClient({
  self: isCaller ? caller : callee,
  other: isCaller ? callee : caller,
  role: isCaller ? 'caller' : 'callee',
  audioOnly,
  token: ownToken(isCaller ? caller : callee),
});
const media = new LocalMedia({
  audio: true,
  video: !audioOnly,
  deviceIds: { audio: remembered('audioDevice'), video: remembered('videoDevice') },
});

/** The parts of the call client that the screen needs. */
const driver = Object.defineProperties(client, {
  peerName: { value: client.other },
  media: { get: () => client.peer },
});

const STATES = {
  connecting: 'call.connecting',
  waiting: 'call.waiting',
  calling: 'call.calling',
  ringing: 'call.ringing',
  starting: 'call.starting',
};
const ENDINGS = {
  hungUp: 'call.ended',
  over: 'call.over',
  refused: 'call.refused',
  declined: 'call.declined',
  busy: 'call.busy',
  timeout: 'call.timeout',
  missed: 'call.missed',
  offline: 'call.offline',
  noDevice: 'call.noDevice',
  lost: 'call.lost',
  unreachable: 'call.unreachable',
  replaced: 'call.replaced',
  unknown: 'call.unknown',
  noAddress: 'reach.noAddress',
  noPath: 'reach.noPath',
  tokenMissing: 'token.tokenMissing',
  tokenRefused: 'token.tokenRefused',
  nameTaken: 'token.nameTaken',
  failed: 'call.failed',
};
const again = () => (isCaller ? 'call.again' : 'call.waitAgain');

translate(document);
globalThis.patchbay = { client, media };
const screen = new CallScreen(byId('call-screen'), driver, media, { states: STATES, endings: ENDINGS, again });
client.addEventListener('state', ({ detail }) => detail.state === 'ringing' && ring());
addEventListener('pagehide', () => client.hangUp());
addEventListener('pageshow', ({ persisted }) => persisted && location.reload());

await consent({
  titleKey: isCaller ? 'consent.call.title' : 'consent.answer.title',
  textKey: `consent.${isCaller ? 'call' : 'answer'}.${audioOnly ? 'audio' : 'video'}`,
  values: { name: client.other, self: client.self },
  primaryKey: isCaller ? 'consent.call.go' : 'consent.answer.go',
});
await media.open();
screen.start();

function ring() {
  const isDeafAndDumb = !media.tracks.audio && !media.tracks.video;
  if (isDeafAndDumb) client.refuseForWantOfDevices();
  else if (!asksFirst) client.accept();
}
