/**
 * Keeps every `<select data-device="audio|video|output">` equal to the list of devices.
 */
import { DEVICE_KIND } from '../client/local-media.js';
import { t, onLanguageChange } from '../common/i18n.js';
import { remember } from '../common/preferences.js';

/** Not every browser lets people choose where sound comes out. */
const CAN_CHOOSE_OUTPUT = 'setSinkId' in HTMLMediaElement.prototype;
const KINDS = { ...DEVICE_KIND, output: 'audiooutput' };
const NAMES = { audio: 'devices.microphone', video: 'devices.camera', output: 'devices.speaker' };

/**
 * @param {import('../client/local-media.js').LocalMedia} media
 * @param {(deviceId: string) => void} onOutput
 */
export function serveDeviceSelects(media, onOutput) {
  const selects = [...document.querySelectorAll('select[data-device]')];
  for (const field of document.querySelectorAll('[data-output-field]')) field.hidden = !CAN_CHOOSE_OUTPUT;
  let output = '';

  async function refresh() {
    const devices = await media.devices();
    for (const select of selects) {
      const kind = select.dataset.device;
      const found = devices.filter((device) => device.kind === KINDS[kind] && device.deviceId !== 'communications');
      const options = found.map(({ deviceId, label }, index) => new Option(label || `${t(NAMES[kind])} ${index + 1}`, deviceId));
      select.replaceChildren(...(options.length ? options : [new Option(t('devices.none'), '')]));
      select.disabled = options.length === 0 || found.every(({ deviceId }) => deviceId === '');
      const chosen = kind === 'output' ? output : (media.tracks[kind]?.getSettings().deviceId ?? media.deviceIds[kind]);
      if (found.some(({ deviceId }) => deviceId === chosen)) select.value = chosen;
    }
  }

  for (const select of selects) {
    select.addEventListener('change', async () => {
      const kind = select.dataset.device;
      if (kind === 'output') {
        output = select.value;
        onOutput(output);
        return;
      }
      remember(`${kind}Device`, select.value);
      await media.selectDevice(kind, select.value);
    });
  }
  media.addEventListener('devices', refresh);
  onLanguageChange(refresh);
  return refresh();
}
