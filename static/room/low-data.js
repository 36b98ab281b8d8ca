/**
 * The switch for little data: what the person has chosen, remembered for the next time, and shown for as long as it holds.
 *
 * `one`: one picture comes, and the own camera is sent in two small layers. `sound`: no picture comes, and the own camera, if it is on,
 * is sent as small as it can be. It is never switched off by this: the others would miss it, and there is a button for it.
 * A screen that is shared is sent as ever, because small it could not be read.
 */
import { ALL_LAYERS } from '../client/send-layers.js';
import { byId } from '../common/dom.js';
import { say } from '../common/i18n.js';
import { remember, remembered } from '../common/preferences.js';

const LAYERS = { off: ALL_LAYERS, one: 2, sound: 1 };

export class LowData {
  /** @type {import('../client/wants.js').LowData} */
  mode = 'off';
  #select = byId('set-low-data');
  #onChange;

  /** @param {(lowData: LowData) => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
    const known = remembered('lowData', 'off');
    this.#select.addEventListener('change', () => {
      remember('lowData', this.#select.value);
      this.#set(this.#select.value);
    });
    this.#set(Object.hasOwn(LAYERS, known) ? known : 'off');
  }

  get isOn() {
    return this.mode !== 'off';
  }

  /** The most layers of the own camera that are to be sent. */
  get layersMax() {
    return LAYERS[this.mode];
  }

  /** Puts the keyboard onto the switch. */
  focus() {
    this.#select.focus();
  }

  #set(mode) {
    this.mode = mode;
    this.#select.value = mode;
    say(byId('low-data-hint'), `lowData.hint.${mode}`);
    const chip = byId('low-data-chip');
    chip.hidden = mode === 'off';
    if (mode !== 'off') say(byId('low-data-state'), `lowData.state.${mode}`);
    this.#onChange(this);
  }
}
