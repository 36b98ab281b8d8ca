/**
 * Keeps a phone's screen on during a call, if the browser allows it.
 */
let lock = null;
let wanted = false;

async function request() {
  if (!wanted || lock || document.visibilityState !== 'visible' || !navigator.wakeLock) return;
  try {
    lock = await navigator.wakeLock.request('screen');
    lock.addEventListener('release', () => {
      lock = null;
    });
    if (!wanted) await lock.release();
  } catch {
    // Refused, for example to save the battery.
  }
}

// The browser releases it whenever the page is hidden.
document.addEventListener('visibilitychange', request);

export function keepAwake(on) {
  wanted = on;
  if (on) request();
  else lock?.release().catch(() => {});
}
