/**
 * Says during the call that a camera or a microphone is missing: once for each problem, and with a way out
 * if there is one.
 */
import { t } from '../common/i18n.js';
import { explainProblem } from './help-dialog.js';

/** Problems that a person can solve; the others are only shown. */
const CURABLE = ['denied', 'deniedBySystem', 'insecure', 'unsupported', 'inUse'];
const NAMES = { audio: 'devices.microphone', video: 'devices.camera' };

export class DeviceNotices {
  #media;
  #notices;
  #told = '';

  /** @param {import('../client/local-media.js').LocalMedia} media @param {import('./notices.js').Notices} notices */
  constructor(media, notices) {
    this.#media = media;
    this.#notices = notices;
  }

  update() {
    const { problems, wanted } = this.#media;
    const kinds = ['audio', 'video'].filter((kind) => problems[kind] && wanted[kind]);
    const summary = kinds.map((kind) => `${kind}:${problems[kind]}`).join();
    if (summary === this.#told) return;
    this.#told = summary;
    this.#notices.clear('devices');
    if (kinds.length === 0) return;

    const problem = problems[kinds[0]];
    const same = kinds.filter((kind) => problems[kind] === problem);
    const [first, ...others] = same.map((kind) => t(NAMES[kind]));
    const devices = [first, ...others.map((name) => name.toLowerCase())].join(t('and'));
    const values = { devices, reason: t(`problem.${problem}`) };
    if (!CURABLE.includes(problem)) {
      this.#notices.toast('problem.line', values);
      return;
    }
    this.#notices.set('devices', {
      key: 'problem.line',
      values,
      actionKey: 'problem.help',
      onAction: () => explainProblem(problem, () => this.#media.open()),
      closable: true,
    });
  }
}
