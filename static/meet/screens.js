/**
 * What the page shows: the forms, the meeting, or a card while something is waited for.
 */
import { byId, showOnly } from '../common/dom.js';
import { say } from '../common/i18n.js';
import { hueOf, initials } from '../room/tile.js';

const SCREENS = [byId('home'), byId('hold'), byId('call')];

export function showHome() {
  show('home');
}

export function showMeeting() {
  show('call');
}

/** It rings at somebody. @param {string} name @param {() => void} onCancel */
export function showCalling(name, onCancel) {
  hold({ name, textKey: 'meet.calling', cancelKey: 'calling.cancel', onCancel });
}

/** A host has to let this person in. @param {string} name of the meeting @param {() => void} onCancel */
export function showWaiting(name, onCancel) {
  hold({ name, textKey: 'meet.waitingForHost', cancelKey: 'meet.leave', onCancel });
}

function hold({ name, textKey, cancelKey, onCancel }) {
  byId('hold-avatar').textContent = initials(name);
  byId('hold-avatar').style.setProperty('--hue', hueOf(name));
  byId('hold-title').textContent = name;
  say(byId('hold-text'), textKey);
  say(byId('hold-cancel-text'), cancelKey);
  byId('hold-cancel').onclick = onCancel;
  if (show('hold')) byId('hold-cancel').focus();
}

/** @returns {boolean} whether it was not shown before */
function show(id) {
  const screen = byId(id);
  if (!screen.hidden) return false;
  showOnly(screen, SCREENS);
  return true;
}
