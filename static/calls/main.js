/**
 * The page of the call API: what a phone app and its back end do with `/dapi`, by hand.
 */
import { consent } from '../common/consent.js';
import { byId } from '../common/dom.js';
import { languageSwitch, say, translate } from '../common/i18n.js';
import { placeIcons } from '../common/icons.js';
import { recallInTab, remember, rememberInTab, remembered } from '../common/preferences.js';
import { ActiveCall } from './active-call.js';
import { CallApi } from './call-api.js';
import { CallMessages } from './call-messages.js';
import { EVENT } from './call-record.js';
import { Order } from './order.js';
import { ProblemLine } from './problem-line.js';
import { RecordList } from './record-list.js';
import { RequestLog } from './request-log.js';
import { SecondCall } from './second-call.js';
import { TaskList } from './task-list.js';

/** Time between two looks for calls, and for scheduled calls. */
const POLL_MS = 2000;
const MINUTE_MS = 60_000;

placeIcons(document);
translate(document);
languageSwitch(byId('language'));

const log = new RequestLog(byId('log'), byId('no-log'));
const problems = new ProblemLine();
problems.showAt(byId('problem'));
const acts = {
  enter,
  decline: (channel) => settle(channel, EVENT.declined),
  cancel: (channel) => settle(channel, EVENT.cancelled),
};
const messages = new CallMessages(byId('messages'), byId('no-messages'), byId('news'), acts);
const secondCall = new SecondCall(acts);
const tasks = new TaskList((id) => attempt(async () => {
  await api.removeTask(id);
  await refreshTasks();
}), () => attempt(refreshTasks));
/** The calls that are listed, and what is known of them and of the latest of this tab, by channel. */
let rows = [];
let known = new Map();
let records = null;
let self = '';
/** What `system/config` has answered. */
let settings = null;
let api = null;
let call = null;
let polling = 0;
/** Answers may overtake one another; what an older one says is not shown over what a newer one has said. */
const callsOrder = new Order();
const tasksOrder = new Order();

byId('sign-in').addEventListener('submit', (event) => {
  event.preventDefault();
  const uid = byId('user-id').value.trim();
  if (uid) signIn(uid, byId('key').value.trim());
});
byId('sign-out').addEventListener('click', signOut);
byId('place').addEventListener('submit', (event) => {
  event.preventDefault();
  place(() => api.callUsers(listed('callees'), byId('extra').value.trim()));
});
byId('call-robot').addEventListener('click', () => place(() => api.callRobot()));
byId('schedule').addEventListener('submit', (event) => {
  event.preventDefault();
  attempt(async () => {
    await api.schedule(listed('task-callees'), byId('task-time').value.trim(), byId('task-id').value.trim());
    await refreshTasks();
  });
});
addEventListener('pagehide', () => call?.end());
addEventListener('pageshow', ({ persisted }) => persisted && location.reload());

const query = new URLSearchParams(location.search);
byId('user-id').value = query.get('uid') ?? remembered('callsUid');
byId('key').value = recallInTab('callsKey') ?? '';
if (query.get('uid')) {
  const name = query.get('uid');
  await consent({ titleKey: 'consent.calls.title', textKey: 'consent.calls.text', values: { name }, primaryKey: 'calls.start' });
  signIn(name, byId('key').value);
} else {
  byId('sign-in').hidden = false;
}

function signIn(uid, key) {
  remember('callsUid', uid);
  rememberInTab('callsKey', key);
  // An answer may come after this user has signed out.
  const own = new CallApi(uid, key, (...entry) => own === api && log.add(...entry));
  api = own;
  call = new ActiveCall(api, problems);
  records = new RecordList(byId('records'), byId('no-records'), uid);
  self = uid;
  byId('own-name').textContent = uid;
  byId('sign-in').hidden = true;
  byId('signed-in').hidden = false;
  byId('callees').focus();
  polling = setInterval(() => attempt(refresh, { isQuiet: true }), POLL_MS);
  attempt(refresh, { isQuiet: true });
}

function signOut() {
  call.end();
  clearInterval(polling);
  [api, rows, known, settings] = [null, [], new Map(), null];
  messages.clear();
  secondCall.stop();
  problems.clearAll();
  log.clear();
  rememberInTab('callsKey', '');
  byId('key').value = '';
  byId('signed-in').hidden = true;
  byId('sign-in').hidden = false;
  byId('user-id').focus();
}

function place(request) {
  attempt(async () => {
    const { channel_heartbeat: heartbeat } = await config();
    await open(await request(), true, heartbeat);
  });
}

/** Answers a call, or goes into one's own or into one that has begun. */
function enter(channel) {
  return attempt(async () => {
    const { channel_heartbeat: heartbeat } = await config();
    const isCaller = known.get(channel)?.src_uid === self;
    await open(await api.token(channel), isCaller, heartbeat);
  });
}

/** Leaves the call in which this tab is, if any, for another one. */
async function open(way, isCaller, heartbeat) {
  records.add(way.channel);
  const opening = call.open(way, isCaller, heartbeat);
  // The call that is open cannot be entered again.
  showCalls();
  await opening;
}

/** Ends a call without entering it. */
function settle(channel, code) {
  return attempt(async () => {
    await api.report(channel, code);
    records.add(channel);
    await refresh();
  });
}

async function config() {
  settings ??= await api.settings();
  return settings;
}

async function refresh() {
  const from = api;
  const isNewest = callsOrder.ask();
  const found = await from.messages();
  if (!settings) proposeTime((await config()).time_zone);
  // Whose call it is does not change, so that is asked once; what becomes of those that are shown, each time.
  const asked = new Set([...records.wanted(call.channel), ...found.map(({ channel }) => channel).filter((channel) => !known.has(channel))]);
  const fresh = await Promise.all([...asked].map((channel) => from.record(channel)));
  // Somebody else may have signed in meanwhile.
  if (from !== api || !isNewest()) return;
  rows = found;
  const kept = new Set(rows.map(({ channel }) => channel));
  known = new Map([...known].filter(([channel]) => kept.has(channel)));
  for (const record of fresh) known.set(record.channel, record);
  records.show(known);
  call.follow(known.get(call.channel));
  showCalls();
  await refreshTasks();
}

function showCalls() {
  messages.show(rows, known, self, call.channel);
  secondCall.show(rows, known, self, call.channel);
}

async function refreshTasks() {
  const from = api;
  const isNewest = tasksOrder.ask();
  const found = await from.tasks(tasks.page);
  if (from === api && isNewest()) tasks.show(found);
}

/** Does something, and shows why it failed. What is asked again and again is quiet: it hides only its own problem. */
async function attempt(act, { isQuiet = false } = {}) {
  const source = isQuiet ? 'poll' : 'own';
  const from = api;
  try {
    await act();
    if (from === api) problems.clear(source);
  } catch (error) {
    // Whoever has signed out is not told any more.
    if (from !== api) return;
    problems.show(source, error);
    // The button that was pressed may be far below.
    if (!isQuiet) byId('problem').scrollIntoView({ block: 'nearest' });
  }
}

function listed(id) {
  return byId(id).value.split(/[,，\s]+/).filter(Boolean);
}

/** Proposes a time for a scheduled call, in the zone in which the server reads it, unless one has been written there. */
function proposeTime(zone) {
  say(byId('time-hint'), 'calls.timeHintIn', { zone });
  if (!byId('task-time').value) byId('task-time').value = readable(new Date(Date.now() + MINUTE_MS), zone);
}

/** A time as the API writes it. Empty where the browser does not know the zone. */
function readable(date, timeZone) {
  const two = '2-digit';
  const form = { timeZone, hourCycle: 'h23', year: 'numeric', month: two, day: two, hour: two, minute: two, second: two };
  try {
    const parts = new Intl.DateTimeFormat('en', form).formatToParts(date);
    const { year, month, day, hour, minute, second } = Object.fromEntries(parts.map(({ type, value }) => [type, value]));
    return `${year}-${month}-${day} ${hour}:${minute}:${second}`;
  } catch {
    return '';
  }
}
