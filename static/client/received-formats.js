/**
 * Keeps offers to receive many people short: of the formats that a browser decodes, those that no browser sends are left out, and
 * those whose decoder is in the offer under another name. The server takes offers of 64 KiB.
 */

/** Redundancy that the server makes in another way, sound that is not forwarded, and pictures with more colours than a camera has. */
const LEFT_OUT = [
  /^video\/(red|ulpfec|flexfec-03)$/,
  /^audio\/(g722|cn|telephone-event)$/,
  /^video\/vp9.*profile-id=[123]/,
  /^video\/av1.*profile=[12]/,
  // A decoder of packetization mode 1 takes mode 0, too.
  /^video\/h264.*packetization-mode=0/,
];

/** Call before the offer. Browsers that cannot choose go on as before. @param {RTCRtpTransceiver} transceiver that only receives */
export function offerFewFormats(transceiver) {
  const formats = RTCRtpReceiver.getCapabilities?.(transceiver.receiver.track.kind)?.codecs ?? [];
  const few = formats.filter(isKept);
  if (few.length > 0) transceiver.setCodecPreferences?.(few);
}

function isKept({ mimeType, sdpFmtpLine = '' }) {
  const format = `${mimeType} ${sdpFmtpLine}`.toLowerCase().trim();
  return !LEFT_OUT.some((one) => one.test(format));
}
