/**
 * The page of the HTTP interface: shows /openapi.json with Swagger UI, whose files come from the program, too.
 */
import { byId } from '../common/dom.js';
import { languageSwitch, translate } from '../common/i18n.js';

translate(document);
languageSwitch(byId('language'));

/** Swagger UI is dark where the root has this class. */
const dark = matchMedia('(prefers-color-scheme: dark)');
const followScheme = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', followScheme);
followScheme();

globalThis.SwaggerUIBundle({
  url: '/openapi.json',
  domNode: byId('endpoints'),
  deepLinking: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  // Nothing comes from elsewhere: no badge of a validator.
  validatorUrl: 'none',
});
