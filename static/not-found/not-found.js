/** The page for addresses that lead nowhere: it only has to choose its language. */
import { translate } from '../common/i18n.js';

translate(document);
