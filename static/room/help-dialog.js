/**
 * The reason why a camera or a microphone is missing, and what to do about it in this browser.
 */
import { permissionGuide } from '../client/media-errors.js';
import { byId, h } from '../common/dom.js';
import { say } from '../common/i18n.js';

const WITH_STEPS = { denied: permissionGuide, deniedBySystem: () => 'system' };
const STEPS_PER_GUIDE = 3;

/**
 * @param {string} problem see MediaProblem
 * @param {() => void} onRetry
 */
export function explainProblem(problem, onRetry) {
  const dialog = byId('help');
  say(byId('help-title'), `help.${problem}.title`);
  say(byId('help-text'), `help.${problem}.text`, { host: location.hostname, port: location.port || '443' });
  const guide = WITH_STEPS[problem]?.();
  const steps = guide ? Array.from({ length: STEPS_PER_GUIDE }, (_, index) => say(h('li'), `guide.${guide}.${index + 1}`)) : [];
  byId('help-steps').replaceChildren(...steps);
  byId('help-steps').hidden = steps.length === 0;
  byId('help-retry').hidden = problem === 'insecure' || problem === 'unsupported';
  byId('help-retry').onclick = () => {
    dialog.close();
    onRetry();
  };
  byId('help-close').onclick = () => dialog.close();
  if (!dialog.open) dialog.showModal();
}
