/**
 * The problems of a camera, a microphone or a screen, as one of a few words that a page can explain.
 */

/** @typedef {'insecure' | 'denied' | 'deniedBySystem' | 'notFound' | 'inUse' | 'lost' | 'unsupported' | 'other'} MediaProblem */

/** Browsers offer devices only to pages from https or from this very machine. */
export function captureIsPossible() {
  return Boolean(globalThis.navigator?.mediaDevices?.getUserMedia);
}

/** @returns {MediaProblem} */
export function problemWithoutCapture() {
  return globalThis.isSecureContext ? 'unsupported' : 'insecure';
}

/** @param {unknown} error what `getUserMedia` threw @returns {MediaProblem} */
export function mediaProblem(error) {
  switch (error?.name) {
    case 'NotAllowedError':
    case 'SecurityError':
      return /system/i.test(error.message ?? '') ? 'deniedBySystem' : 'denied';
    case 'NotFoundError':
    case 'OverconstrainedError':
      return 'notFound';
    case 'NotReadableError':
    case 'AbortError':
      return 'inUse';
    case 'TypeError':
      return captureIsPossible() ? 'other' : problemWithoutCapture();
    default:
      return 'other';
  }
}

/** @returns {'safariPhone' | 'safari' | 'firefox' | 'chromePhone' | 'chrome'} the browser whose permissions to explain */
export function permissionGuide(userAgent = navigator.userAgent, touchPoints = navigator.maxTouchPoints) {
  const isApplePhone = /iPhone|iPad|iPod/.test(userAgent) || (/Macintosh/.test(userAgent) && touchPoints > 1);
  if (isApplePhone) return 'safariPhone';
  if (/Firefox\//.test(userAgent)) return 'firefox';
  if (/Android/.test(userAgent)) return 'chromePhone';
  if (/Chrome\/|Chromium\//.test(userAgent)) return 'chrome';
  return /Safari\//.test(userAgent) ? 'safari' : 'chrome';
}
