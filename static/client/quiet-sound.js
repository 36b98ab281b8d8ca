/**
 * Lets a browser send next to nothing while its microphone is silent (DTX of Opus, RFC 7587 section 3.1.3): five packets a second
 * that say so, and not fifty with sound that nobody hears.
 */

/** Each side says in its description what it wants of the sound that it receives. @param {string} sdp the server's @returns {string} */
export function withQuietSound(sdp) {
  const types = [...sdp.matchAll(/^a=rtpmap:(\d+) opus\//gim)].map(([, type]) => type);
  return types.reduce((text, type) => {
    const parameters = new RegExp(`^a=fmtp:${type} .*$`, 'm');
    if (parameters.test(text)) return text.replace(parameters, (line) => (line.includes('usedtx=') ? line : `${line};usedtx=1`));
    return text.replace(new RegExp(`^a=rtpmap:${type} .*$`, 'm'), (line) => `${line}\r\na=fmtp:${type} usedtx=1`);
  }, sdp);
}
