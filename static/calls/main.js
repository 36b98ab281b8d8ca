/**
 * The page of the call API: what a phone app and its back end do with `/dapi`, by hand.
 */
import { consent } from '../common/consent.js';
import { byId } from '../common/dom.js';
import { languageSwitch, say, translate } from '../common/i18n.js';
import { placeIcons } from '../common/icons.js';
import { recallInTab, remember, rememberInTab, remembered } from '../common/preferences.js';
import { ActiveCall, EVENT } from './active-call.js';
import { CallApi } from './call-api.js';
import { CallMessages } from './call-messages.js';
import { RequestLog } from './request-log.js';
import { TaskList } from './task-list.js';

/** Time between two looks for calls, and for scheduled calls. */
const POLL_MS = 2000;
const MINUTE_MS = 60_000;

placeIcons(document);
translate(document);
languageSwitch(byId('language'));

const log = new RequestLog(byId('log'), byId('no-log'));
const messages = new CallMessages(byId('messages'), byId('no-messages'), answer, decline);
const tasks = new TaskList((id) => attempt(async () => {
  await api.removeTask(id);
  await refreshTasks();
}), () => attempt(refreshTasks));
/** The channels of calls that were placed here or declined: they are not to be answered. */
const settled = new Set();
let api = null;
let call = null;
let polling = 0;

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
  api = new CallApi(uid, key, (...entry) => log.add(...entry));
  call = new ActiveCall(api, showProblem);
  byId('own-name').textContent = uid;
  byId('sign-in').hidden = true;
  byId('signed-in').hidden = false;
  byId('callees').focus();
  polling = setInterval(() => attempt(refresh, { isQuiet: true }), POLL_MS);
  attempt(async () => {
    proposeTime((await api.settings()).time_zone);
    await refresh();
  });
}

function signOut() {
  call.end();
  clearInterval(polling);
  settled.clear();
  log.clear();
  rememberInTab('callsKey', '');
  byId('key').value = '';
  byId('signed-in').hidden = true;
  byId('sign-in').hidden = false;
  byId('user-id').focus();
}

function place(request) {
  attempt(async () => {
    call.end();
    const way = await request();
    settled.add(way.channel);
    await call.open(way);
  });
}

function answer(channel) {
  attempt(async () => {
    call.end();
    settled.add(channel);
    await call.open(await api.token(channel));
  });
}

function decline(channel) {
  attempt(async () => {
    settled.add(channel);
    await api.report(channel, EVENT.declined);
    await refresh();
  });
}

async function refresh() {
  messages.show(await api.messages(), settled);
  await refreshTasks();
}

async function refreshTasks() {
  tasks.show(await api.tasks(tasks.page));
}

/** Does something, and shows why it failed; a quiet failure leaves the last problem as it was. */
async function attempt(act, { isQuiet = false } = {}) {
  try {
    await act();
    if (!isQuiet) byId('problem').hidden = true;
  } catch (error) {
    showProblem(error);
    // The button that was pressed may be far below.
    if (!isQuiet) byId('problem').scrollIntoView({ block: 'nearest' });
  }
}

function showProblem(error) {
  byId('problem').textContent = error.message;
  byId('problem').hidden = false;
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
