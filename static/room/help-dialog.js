/**
 * The reason why a camera or a microphone is missing, and what to do about it in this browser.
 */
import { permissionGuide } from '../client/media-errors.js';
import { h } from '../common/dom.js';
import { say } from '../common/i18n.js';

const WITH_STEPS = { denied: permissionGuide, deniedBySystem: () => 'system' };
const STEPS_PER_GUIDE = 3;

/**
 * @param {string} problem see MediaProblem
 * @param {() => void} onRetry
 */
export function explainProblem(problem, onRetry) {
  document.getElementById('help')?.remove();
  const dialog = dialogAbout(problem, onRetry);
  document.body.append(dialog);
  dialog.showModal();
}

function dialogAbout(problem, onRetry) {
  const close = () => dialog.close();
  const button = (look, key, onclick) => say(h(`button.button.${look}`, { type: 'button', onclick }), key);
  const retry = button('primary', 'help.retry', () => {
    close();
    onRetry();
  });
  const without = button('plain', 'help.without', close);
  const canRetry = problem !== 'insecure' && problem !== 'unsupported';
  const guide = WITH_STEPS[problem]?.();
  const steps = guide && Array.from({ length: STEPS_PER_GUIDE }, (_, index) => say(h('li'), `guide.${guide}.${index + 1}`));
  const dialog = h(
    'dialog.card.help',
    { id: 'help', 'aria-labelledby': 'help-title', onclose: () => dialog.remove() },
    say(h('h2', { id: 'help-title' }), `help.${problem}.title`),
    say(h('p'), `help.${problem}.text`, { host: location.hostname, port: location.port || '443' }),
    steps && h('ol', {}, ...steps),
    h('div.notice-actions', {}, canRetry && retry, without),
  );
  return dialog;
}
