/**
 * The page of meetings and of calls to accounts: log in, be called, call, enter a meeting with its number and PIN.
 */
import { ConferenceClient } from '../client/conference-client.js';
import { PinRequired, Refused, Unreachable } from '../client/conference-requests.js';
import { LocalMedia } from '../client/local-media.js';
import { HistoryList } from '../calling/history-list.js';
import { byId } from '../common/dom.js';
import { languageSwitch, say, translate } from '../common/i18n.js';
import { placeIcons } from '../common/icons.js';
import { remember, remembered } from '../common/preferences.js';
import { serveDeviceSelects } from '../room/device-selects.js';
import { Account } from './account.js';
import { IncomingCalls } from './incoming-calls.js';
import { Meeting } from './meeting.js';
import { showProblem } from './problems.js';
import { showHome } from './screens.js';

const KINDS = { audio: 'microphone', video: 'camera' };
/** Whoever is sent to another conference has left the first one by then. */
const REFERRAL_MS = 500;
const REFUSALS = { 401: 'meet.loginOver', 403: 'meet.notAllowed', 409: 'meet.busy', 429: 'meet.tooManyTries' };
/** What the server says when it ends a session, where the page says more about it. */
const SENTENCES = {
  'the call was declined': 'messages.refused',
  'the same user has come with a newer session': 'meet.replaced',
};
/** Pictures that a small screen and a large one have room for. */
const PICTURES = matchMedia('(max-width: 760px)').matches ? 4 : 8;

placeIcons(document);
translate(document);
document.querySelectorAll('select[data-language]').forEach(languageSwitch);

const media = new LocalMedia({
  audio: remembered('microphone', 'on') === 'on',
  video: remembered('camera', 'on') === 'on',
  deviceIds: { audio: remembered('audioDevice'), video: remembered('videoDevice') },
});
const meeting = new Meeting(media);
const history = new HistoryList(byId('history'));
const incoming = new IncomingCalls({ onAnswer: answered, busyWith: () => client && (client.isCall ? 'call' : 'meeting') });
const account = new Account({
  onIncoming: (call) => incoming.add(call),
  onCancelled: (token) => incoming.remove(token),
  onClosed: () => incoming.clear(),
});
/** The conference that this page enters or is in. @type {ConferenceClient | null} */
let client = null;
/** The client that waits for a PIN. @type {ConferenceClient | null} */
let pinAsked = null;
/** Ends when the conference in which this page was has ended. */
let visit = Promise.resolve();

globalThis.patchbay = {
  get client() {
    return client;
  },
  media,
};
serveDeviceSelects(media, (deviceId) => meeting.setOutput(deviceId));
addEventListener('pagehide', () => client?.leave());
addEventListener('pageshow', ({ persisted }) => persisted && location.reload());

byId('number').value = new URLSearchParams(location.search).get('number') ?? '';
byId('guest-name').value = remembered('name');
for (const [kind, name] of Object.entries(KINDS)) {
  const box = byId(`with-${kind}`);
  box.checked = media.wanted[kind];
  box.addEventListener('change', () => remember(name, box.checked ? 'on' : 'off'));
}
byId('call-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const callee = byId('callee').value.trim();
  if (callee && !client) call(callee);
});
byId('enter-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const number = byId('number').value.trim();
  if (number && !client) enterMeeting(number, pinAsked && byId('pin').value.trim());
});
for (const id of ['number', 'guest-name']) byId(id).addEventListener('input', () => askPin(null));
account.resume();

async function call(callee) {
  showProblem('call-problem', null);
  try {
    const ending = await go(newClient(callee), { title: callee });
    showNews(ending.hasMet ? 'calling.over' : calledInVain(ending), callee);
  } catch (error) {
    // It is the number of a meeting.
    if (error instanceof PinRequired) byId('number').value = callee;
    showProblem('call-problem', sentenceFor(error, 'meet.unknownAccount'), error);
  }
}

async function enterMeeting(number, pin) {
  showProblem('enter-problem', null);
  remember('name', byId('guest-name').value.trim());
  try {
    const ending = await go(pinAsked ?? newClient(number), { title: number, pin });
    askPin(null);
    showNews(SENTENCES[ending.sentence] ?? { left: 'meet.left', lost: 'meet.lost', over: 'meet.over' }[ending.reason], number);
  } catch (error) {
    showProblem('enter-problem', sentenceFor(error, 'meet.unknownMeeting'), error);
  }
}

/** Somebody has said what is to become of a call that rings. */
async function answered(ringing, answer) {
  const { name, conference, token } = ringing;
  if (answer === 'agree') {
    client?.leave();
    await visit;
    try {
      await go(newClient(conference, token), { title: name, isAnswer: true });
      showNews('calling.over', name);
    } catch (error) {
      showNews('meet.notAnswered', name);
      console.warn('patchbay: not answered', error);
    }
  } else if (answer === 'refuse') {
    showNews('messages.youRefused', name);
    await account.registration?.refuse(ringing).catch((error) => console.warn('patchbay: not refused', error));
  } else {
    showNews('messages.missed', name);
  }
}

/** Enters, and comes back when it is over. */
async function go(entering, { title, isAnswer = false, pin = null }) {
  client = entering;
  byId('news').hidden = true;
  try {
    await entering.enter(pin);
  } catch (error) {
    client = null;
    if (error instanceof PinRequired) askPin(entering, error);
    throw error;
  }
  for (const [kind, name] of Object.entries(KINDS)) media.wanted[kind] = remembered(name, 'on') === 'on';
  media.open();
  const focused = document.activeElement;
  const stay = meeting.run(entering, { title, isOutgoing: entering.isCall && !isAnswer });
  visit = stay;
  let referral = null;
  entering.addEventListener('referred', ({ detail }) => {
    referral = detail;
  });
  const ending = await stay;
  client = null;
  if (referral) {
    await new Promise((resolve) => setTimeout(resolve, REFERRAL_MS));
    return go(newClient(referral.alias, referral.token), { title: referral.alias });
  }
  showHome();
  focused?.focus();
  return ending;
}

function newClient(alias, token = '') {
  const name = account.name || byId('guest-name').value.trim();
  const { id, registration } = account;
  return new ConferenceClient({ alias, name, account: id, registration, token, pictures: PICTURES });
}

/** Asks for the PIN of the meeting of this client, or no longer. */
function askPin(asking, required) {
  pinAsked = asking;
  byId('pin-field').hidden = asking === null;
  byId('pin').value = '';
  if (!asking) return;
  say(byId('pin-hint'), required.isForGuests ? 'meet.pinHint' : 'meet.hostPinHint');
  byId('pin').focus();
}

/** Says what has become of a call or a meeting, here and in the list. */
function showNews(key, name) {
  history.add(key, { name });
  byId('news').hidden = false;
  say(byId('news'), key, { name });
}

function calledInVain({ reason, sentence }) {
  return SENTENCES[sentence] ?? { left: 'messages.cancelled', lost: 'meet.lost', over: 'meet.noAnswer' }[reason];
}

function sentenceFor(error, unknownKey) {
  // The field that has appeared says it.
  if (error instanceof PinRequired) return error.isWrong ? 'meet.wrongPin' : null;
  if (error instanceof Unreachable) return 'calls.unreachable';
  if (!(error instanceof Refused)) return 'calls.failed';
  return error.status === 404 ? unknownKey : (REFUSALS[error.status] ?? 'calls.refused');
}
