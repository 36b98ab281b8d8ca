/**
 * A device with a phone number: login, contacts, calls in both directions. The video is a page of its own, shown in
 * place.
 */
import { CallFrame } from '../calling/call-frame.js';
import { HistoryList } from '../calling/history-list.js';
import { RingingDialog } from '../calling/ringing-dialog.js';
import { consent } from '../common/consent.js';
import { byId, h } from '../common/dom.js';
import { label, languageSwitch, say, translate } from '../common/i18n.js';
import { icon, placeIcons } from '../common/icons.js';
import { remember, remembered, rememberedInTab } from '../common/preferences.js';
import { addContact, listContacts, logIn, removeContact } from './accounts.js';
import { DeviceSocket } from './device-socket.js';

const STATES = { connecting: 'messages.connecting', connected: 'messages.connected', lost: 'messages.lost' };
/** The interval at which the page looks whether an added person has added this number, too. */
const LOOK_AGAIN_MS = 5000;
const VIDEO_PAGE = '/static/demo/direct_chat.html';

placeIcons(document);
translate(document);
languageSwitch(byId('language'));

const history = new HistoryList(byId('history'));
const ringing = new RingingDialog();
const frame = new CallFrame(() => hangUp('calling.over'));
/** `{phone, device, token}` */
let self = null;
let socket = null;
/** The other device of the ringing or current call, and its room once that is known. */
let call = null;
/** The number that was added last, until its devices are listed. */
let added = '';

byId('log-in').addEventListener('submit', async (event) => {
  event.preventDefault();
  await start(byId('phone').value.trim(), byId('device-id').value.trim());
});
byId('log-out').addEventListener('click', () => leave(null));
byId('add').addEventListener('submit', (event) => {
  event.preventDefault();
  const phone = byId('add-phone').value.trim();
  change(addContact(self, phone), (devices) => {
    byId('add').reset();
    added = phone;
    showAdded(devices);
  });
});
byId('state-cancel').addEventListener('click', () => hangUp());
addEventListener('pagehide', () => {
  if (call) hangUp();
  // A browser may keep the page, and its socket with it: then others would go on calling this device.
  socket?.close();
});
addEventListener('pageshow', ({ persisted }) => persisted && location.reload());
setInterval(() => added && self && !document.hidden && change(listContacts(self), showAdded), LOOK_AGAIN_MS);

const query = new URLSearchParams(location.search);
byId('phone').value = query.get('phone') ?? remembered('phone');
byId('device-id').value = query.get('device') ?? remembered('device', rememberedInTab('device', newDeviceName));
if (query.get('phone') && query.get('device')) await startAs(query.get('phone'), query.get('device'));
else byId('log-in').hidden = false;

async function startAs(phone, device) {
  await consent({
    titleKey: 'consent.device.title',
    textKey: 'consent.device.text',
    values: { phone, device },
    primaryKey: 'device.logIn',
  });
  await start(phone, device);
}

async function start(phone, device) {
  byId('log-in-error').hidden = true;
  try {
    self = { phone, device, token: await logIn(phone, device) };
  } catch (problem) {
    leave(problem.sentence);
    return;
  }
  remember('phone', phone);
  remember('device', device);
  byId('own-name').textContent = `${phone} · ${device}`;
  byId('log-in').hidden = true;
  byId('home').hidden = false;
  showState('connecting');
  socket = new DeviceSocket(self.token, { onMessage: receive, onState: showState });
  await change(listContacts(self));
}

/** Goes back to the login; the sentence, if any, says why. */
function leave(sentence) {
  if (call) hangUp();
  socket?.close();
  socket = null;
  added = '';
  byId('home').hidden = true;
  byId('log-in').hidden = false;
  byId('log-in-error').hidden = sentence === null;
  if (sentence) say(byId('log-in-error'), sentence);
}

function showState(state) {
  byId('own-dot').toggleAttribute('data-on', state === 'connected');
  if (state === 'replaced') leave('device.replaced');
  else say(byId('own-state'), STATES[state]);
}

async function change(doing, done = () => {}) {
  byId('contacts-error').hidden = true;
  try {
    const devices = await doing;
    showContacts(devices);
    done(devices);
  } catch (problem) {
    if (problem.isTokenInvalid) leave(problem.sentence);
    else if (!problem.sentence) throw problem;
    byId('contacts-error').hidden = false;
    say(byId('contacts-error'), problem.sentence ?? 'device.failed');
  }
}

/** Says that the other person has to add this number as well, until they have. */
function showAdded(devices) {
  if (devices.some(({ phone }) => phone === added)) added = '';
  byId('added').hidden = added === '';
  if (added) say(byId('added'), 'device.added', { name: added });
}

function showContacts(devices) {
  byId('empty').hidden = devices.length > 0;
  byId('contacts').replaceChildren(...devices.map(({ phone, device_id: device }) => row({ phone, device })));
}

function row(other) {
  const name = other.phone;
  const callButton = h('button.icon-button.call', { type: 'button', data: { action: 'call' }, onclick: () => ring(other) }, icon('camera'));
  const removeButton = h(
    'button.icon-button',
    { type: 'button', data: { action: 'remove' }, onclick: () => change(removeContact(self, other.phone)) },
    icon('close'),
  );
  const names = h('div.grow', {}, h('strong', { textContent: other.phone }), h('small', { textContent: other.device }));
  return h(
    'li.contact',
    { data: { contact: `${other.phone}/${other.device}` } },
    names,
    label(callButton, 'calling.video', { name }),
    label(removeButton, 'device.remove', { name }),
  );
}

function ring(other) {
  if (call || !socket.call(other)) return;
  call = { other, room: '' };
  say(byId('state-text'), 'messages.waiting', { name: other.phone });
  byId('state').hidden = false;
  byId('state-cancel').focus();
}

/** @param {string | null} sentence for the history */
function hangUp(sentence = null) {
  if (!call) return;
  socket?.hangUp(call.other, call.room);
  end(sentence);
}

/** The call is over on this side. @param {string | null} sentence for the history */
function end(sentence) {
  if (sentence) history.add(sentence, { name: call.other.phone });
  call = null;
  ringing.stop();
  frame.close();
  byId('state').hidden = true;
}

const HEARD = {
  called: (message) => rung({ phone: message.from_phone, device: message.from_device_id }, message.room_id),
  call_success: (message) => isWithCallee(message) && open(message.room_id),
  call_refuse: (message) => isWithCallee(message) && end('messages.refused'),
  call_failed: (message) => call && end(FAILURES[message.message] ?? 'device.callFailed'),
  called_failed: (message) => call?.other.phone === message.from_phone && end('messages.missed'),
  calling_be_hangup: (message) => {
    if (call?.other.phone === message.fire_phone) end(ringing.isOpen ? 'messages.missed' : 'calling.over');
  },
};

const FAILURES = {
  'to_phone is not online': 'device.notOnline',
  'to_phone is busy': 'device.busy',
  timeout: 'messages.noAnswer',
};

function receive(message) {
  if (Object.hasOwn(HEARD, message.type)) HEARD[message.type](message);
}

function isWithCallee(message) {
  return call?.other.phone === message.to_phone && call.other.device === message.to_device_id;
}

async function rung(other, room) {
  // The same call again, sent to a connection that has come back.
  if (call) return;
  call = { other, room };
  const what = await ringing.ask(other.phone, 'calling.asksVideo');
  if (what === null) return;
  socket.answer(other, room, what === 'agree');
  if (what === 'agree') open(room);
  else end('messages.youRefused');
}

function open(room) {
  call.room = room;
  byId('state').hidden = true;
  frame.open(`${VIDEO_PAGE}?${new URLSearchParams({ room_id: room })}`, call.other.phone);
}

function newDeviceName() {
  const [number] = crypto.getRandomValues(new Uint32Array(1));
  return `web-${number.toString(36)}`;
}
