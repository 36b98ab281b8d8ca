/**
 * The page of the message socket: who is online, and invitations to calls with one or several, in both
 * directions.
 */
import { CallFrame } from '../calling/call-frame.js';
import { HistoryList } from '../calling/history-list.js';
import { RingingDialog } from '../calling/ringing-dialog.js';
import { consent } from '../common/consent.js';
import { byId } from '../common/dom.js';
import { languageSwitch, say, translate } from '../common/i18n.js';
import { placeIcons } from '../common/icons.js';
import { tokenOwner } from '../client/own-token.js';
import { remember, remembered } from '../common/preferences.js';
import { ContactList } from './contact-list.js';
import { RINGS_FOR_MS, answer, cancellation, invitation, isLate, pageOf, readInvitation, readTime } from './invitations.js';
import { MessageSocket } from './message-socket.js';

const ASKS = { group: 'messages.asksGroup', audio: 'calling.asksAudio', video: 'calling.asksVideo' };
/** States of a call's client in which it cannot be called yet. */
const NOT_READY = ['idle', 'connecting'];
const READY_PATIENCE_MS = 3000;
const POLL_MS = 50;
const STATES = {
  connecting: 'messages.connecting',
  connected: 'messages.connected',
  lost: 'messages.lost',
  refused: 'messages.notAllowed',
  replaced: 'messages.replaced',
  tokenMissing: 'token.tokenMissing',
  tokenRefused: 'token.tokenRefused',
};

placeIcons(document);
translate(document);
languageSwitch(byId('language'));

const contacts = new ContactList((id, kind) => invite([id], { kind, way: 'ptop', room: '' }), showChosen);
const history = new HistoryList(byId('history'));
const ringing = new RingingDialog();
const frame = new CallFrame(() => {
  frame.close();
  if (talkingWith) history.add('calling.over', { name: talkingWith });
});
/** The other person in a call of two. */
let talkingWith = '';
let chosen = [];
let self = null;
let socket = null;
/** The people at whom our call rings: `{to: Set of ids, call, timer}`. */
let outgoing = null;
/** The call that rings here. */
let incoming = null;
/** The server's time when this connection was bound; older messages have waited. */
let boundAt = NaN;

byId('sign-in').addEventListener('submit', (event) => {
  event.preventDefault();
  const id = byId('user-id').value.trim();
  if (id) signIn(id, byId('user-name').value.trim() || id);
});
byId('sign-out').addEventListener('click', signOut);
byId('other').addEventListener('submit', (event) => {
  event.preventDefault();
  const id = byId('other-id').value.trim();
  if (id && id !== self.id) contacts.add(id);
  byId('other').reset();
});
byId('group-video').addEventListener('click', () => invite(chosen, { kind: 'video', way: 'group', room: newRoom() }));
byId('group-audio').addEventListener('click', () => invite(chosen, { kind: 'audio', way: 'group', room: newRoom() }));
byId('state-cancel').addEventListener('click', () => giveUp('messages.cancelled'));
addEventListener('pagehide', () => {
  if (outgoing) giveUp('messages.cancelled');
  // A browser may keep the page, and its socket with it: then others would go on seeing this person
  // online.
  socket?.close();
});
addEventListener('pageshow', ({ persisted }) => persisted && location.reload());

const query = new URLSearchParams(location.search);
byId('user-id').value = query.get('userId') ?? (tokenOwner() || remembered('messageId'));
byId('user-name').value = query.get('userName') ?? remembered('messageName');
if (query.get('userId')) await signInAs(query.get('userId'), query.get('userName') || query.get('userId'));
else byId('sign-in').hidden = false;

async function signInAs(id, name) {
  await consent({
    titleKey: 'consent.messages.title',
    textKey: 'consent.messages.text',
    values: { name: name === id ? id : `${name} (${id})` },
    primaryKey: 'messages.signIn',
  });
  signIn(id, name);
}

function signIn(id, name) {
  self = { id, name };
  remember('messageId', id);
  remember('messageName', name);
  byId('own-name').textContent = name === id ? id : `${name} (${id})`;
  byId('sign-in').hidden = true;
  byId('online').hidden = false;
  showState('connecting');
  socket = new MessageSocket(self, {
    onOnline(user, time) {
      if (user !== id) contacts.setOnline(user, true);
      else boundAt = readTime(time);
    },
    onOffline: (user) => contacts.setOnline(user, false),
    onMessage: receive,
    onOneMore: () => history.add('messages.oneMore', { id }),
    onState: showState,
  });
}

function signOut() {
  if (outgoing) giveUp('messages.cancelled');
  socket.close();
  contacts.clear();
  ringing.stop();
  byId('online').hidden = true;
  byId('sign-in').hidden = false;
  byId('user-id').focus();
}

function showState(state) {
  byId('own-dot').toggleAttribute('data-on', state === 'connected');
  say(byId('own-state'), STATES[state]);
  if (state !== 'connected') contacts.allOffline();
}

function showChosen(ids) {
  chosen = ids;
  byId('group-bar').hidden = ids.length === 0;
  say(byId('chosen'), 'messages.chosen', { count: ids.length });
}

function invite(ids, call) {
  if (outgoing) giveUp('messages.cancelled');
  for (const id of ids) socket.send(invitation(self, id, call));
  outgoing = { to: new Set(ids), call, timer: setTimeout(() => giveUp('messages.noAnswer'), RINGS_FOR_MS) };
  say(byId('state-text'), 'messages.waiting', { name: ids.map((id) => contacts.nameOf(id)).join(', ') });
  byId('state').hidden = false;
  byId('state-cancel').focus();
}

/** Ends the waiting; a cancellation is sent to those who have not answered. */
function giveUp(sentence) {
  for (const id of outgoing.to) {
    socket.send(cancellation(self, id, self.id));
    if (sentence) history.add(sentence, { name: contacts.nameOf(id) });
  }
  endWaiting();
}

function endWaiting() {
  clearTimeout(outgoing.timer);
  outgoing = null;
  byId('state').hidden = true;
}

function receive(message) {
  const read = readInvitation(message);
  if (read.from !== self.id && read.name !== read.from) contacts.setName(read.from, read.name);
  if (read.kind === 'invitation') return invited(read, message.timeStamp);
  if (read.kind === 'answer') return answered(read);
  if (read.kind === 'cancelled') return cancelled(read);
  if (read.kind === 'missed') history.add('messages.missed', { name: read.name });
  return undefined;
}

async function invited({ from, name, call }, timeStamp) {
  if (from === self.id) return;
  if (isLate(timeStamp, boundAt)) {
    history.add('messages.missed', { name });
    return;
  }
  if (ringing.isOpen || frame.isOpen) {
    socket.send(answer(self, from, call, 'refuse'));
    history.add('messages.missed', { name });
    return;
  }
  incoming = { from, name };
  const timer = setTimeout(() => ringing.stop(), RINGS_FOR_MS);
  const what = await ringing.ask(name, ASKS[call.way === 'group' ? 'group' : call.kind], call.kind === 'audio' ? 'mic' : 'camera');
  clearTimeout(timer);
  incoming = null;
  if (what === null) {
    history.add('messages.missed', { name });
    return;
  }
  // One's other pages stop ringing.
  socket.send(cancellation(self, self.id, from));
  if (what === 'agree') await enter(pageOf(call, self, from, 'callee'), call.way === 'group' ? '' : name);
  else history.add('messages.youRefused', { name });
  // The caller calls as soon as this answer arrives, so the page that takes the call has to be there.
  socket.send(answer(self, from, call, what === 'agree' && frame.isOpen ? 'agree' : 'refuse'));
}

function answered({ from, name, call, answer: said }) {
  if (!outgoing?.to.has(from)) return;
  outgoing.to.delete(from);
  if (said !== 'agree') {
    history.add(said === 'none' ? 'messages.noAnswer' : 'messages.refused', { name: contacts.nameOf(from) });
    if (outgoing.to.size === 0) endWaiting();
    return;
  }
  const mine = outgoing.call;
  // The others of a group may still come; in a call of two there is only one other.
  if (outgoing.to.size === 0 || mine.way === 'ptop') endWaiting();
  if (!frame.isOpen) enter(pageOf(mine, self, from, 'caller'), mine.way === 'group' ? '' : name);
}

/** Loads the page of a call, and waits some seconds at most until it can be called: its caller tries for longer. */
async function enter(address, title) {
  talkingWith = title;
  const client = await frame.open(address, title);
  const isReady = () => !client || !NOT_READY.includes(client.state);
  for (let waited = 0; waited < READY_PATIENCE_MS && !isReady(); waited += POLL_MS) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function cancelled({ from, about }) {
  const whose = from === self.id ? about : from;
  if (incoming?.from === whose) ringing.stop();
}

function newRoom() {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
