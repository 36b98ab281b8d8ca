/**
 * The page between other pages: a wrong password, an unknown user, "you left". It asks for one thing or none.
 */
import { byId } from '../common/dom.js';
import { say } from '../common/i18n.js';

/**
 * @param {object} notice
 * @param {string} notice.titleKey @param {string} notice.textKey @param {Record<string, any>} [notice.values]
 * @param {string} notice.primaryKey
 * @param {{labelKey: string, type?: string, value?: string, isOptional?: boolean}} [notice.field]
 * @returns {Promise<string>} the text that was entered, when the primary button is pressed
 */
export function askOnNotice({ titleKey, textKey, values, primaryKey, field }) {
  say(byId('notice-title'), titleKey, values);
  say(byId('notice-text'), textKey, values);
  say(byId('notice-primary'), primaryKey);
  const input = byId('notice-input');
  byId('notice-field').hidden = !field;
  input.required = Boolean(field) && !field.isOptional;
  input.type = field?.type ?? 'text';
  input.value = field?.value ?? '';
  if (field) say(byId('notice-label'), field.labelKey);
  setTimeout(() => (field ? input : byId('notice-primary')).focus());
  return new Promise((resolve) => {
    byId('notice-form').onsubmit = (event) => {
      event.preventDefault();
      const entered = input.value.trim();
      // It may be a token or a password, which nobody needs in the page any longer.
      input.value = '';
      resolve(entered);
    };
  });
}
