/**
 * Lets a browser send each piece of its sound twice (RED, RFC 2198): the server takes what was lost on the way from the packet after it.
 */

const isRed = ({ mimeType }) => mimeType.toLowerCase() === 'audio/red';

/** Call before the offer. Browsers that know no RED go on as before. @param {RTCRtpTransceiver} transceiver of sound */
export function repeatSound(transceiver) {
  const formats = RTCRtpSender.getCapabilities?.('audio')?.codecs ?? [];
  const red = formats.filter(isRed);
  if (red.length === 0) return;
  transceiver.setCodecPreferences?.([...red, ...formats.filter((format) => !isRed(format))]);
}
