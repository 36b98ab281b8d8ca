/**
 * Single keys for frequent actions. They have no effect while somebody is typing.
 */
const ACTIONS = { m: 'mic', v: 'camera', s: 'share', c: 'chat', Escape: 'escape' };

/** @param {(action: string) => void} onAction @param {() => boolean} isActive */
export function listenForShortcuts(onAction, isActive) {
  document.addEventListener('keydown', (event) => {
    if (!isActive() || event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.isComposing) return;
    if (document.querySelector('dialog[open]')) return;
    const action = ACTIONS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action || (action !== 'escape' && isTyping(event.target))) return;
    event.preventDefault();
    onAction(action);
  });
}

function isTyping(target) {
  return target instanceof Element && target.closest('input, textarea, select, [contenteditable]') !== null;
}
