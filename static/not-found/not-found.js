/** The page for addresses that lead nowhere: only its language is to be chosen. */
import { translate } from '../common/i18n.js';

translate(document);
