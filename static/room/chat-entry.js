/**
 * Messages and files from others, as elements. None of it can be trusted: text stays text, and only addresses
 * of the web become links.
 */
import { h } from '../common/dom.js';
import { icon } from '../common/icons.js';
import { say } from '../common/i18n.js';

const LINK = /https?:\/\/[^\s<>"']+/g;
/** Characters that end a sentence rather than the address before it. */
const TRAILING = /[.,;:!?)\]}。，；：！？）】》]+$/u;
/** Pictures that are safe to show: no scripts, no external parts. */
const PICTURE_NAME = /\.(png|jpe?g|gif|webp|avif)$/i;

/** @param {string} text */
export function textBody(text) {
  const body = h('p.chat-text');
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    const address = match[0].replace(TRAILING, '');
    body.append(text.slice(end, match.index), link(address, address));
    end = match.index + address.length;
  }
  body.append(text.slice(end));
  return body;
}

/** @param {{fileName: string, url: string, fileType?: string, onResize?: () => void}} file */
export function fileBody({ fileName, url, onResize = () => {} }) {
  const address = webAddress(url);
  const name = fileName || address?.pathname.split('/').pop() || '—';
  if (!address) return h('p.chat-file.broken', {}, icon('file'), h('span', {}, name));
  const anchor = link(address.href, '');
  anchor.className = 'chat-file';
  anchor.download = name;
  // Only pictures from this server are fetched without a click: another server would learn who is in the room.
  if (address.origin === location.origin && PICTURE_NAME.test(name)) {
    const picture = h('img', { alt: name, loading: 'lazy', onload: onResize });
    picture.addEventListener('error', () => picture.replaceWith(icon('file')));
    picture.src = address.href;
    anchor.classList.add('picture');
    anchor.append(picture);
  } else {
    anchor.append(icon('file'));
  }
  anchor.append(h('span', {}, name));
  return anchor;
}

/** An upload under way. */
export function uploadBody(name) {
  const bar = h('progress', { max: 1, value: 0 });
  const status = h('span.hint');
  const element = h('div.chat-upload', {}, icon('file'), h('span', {}, name), bar, status);
  return {
    element,
    progress(fraction) {
      bar.value = fraction;
    },
    fail(key) {
      bar.remove();
      element.classList.add('failed');
      say(status, key);
    },
  };
}

function link(href, text) {
  return h('a', { href, target: '_blank', rel: 'noopener noreferrer' }, text);
}

/** @returns {URL | null} null if it is no address of the web, such as `javascript:` */
function webAddress(url) {
  try {
    const address = new URL(url, location.origin);
    return ['http:', 'https:'].includes(address.protocol) ? address : null;
  } catch {
    return null;
  }
}
