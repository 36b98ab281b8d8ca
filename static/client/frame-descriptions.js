/**
 * Lets the server say of each picture which earlier ones it needs (the dependency descriptor of AV1's RTP format, for any video format).
 * Browsers that only receive do not offer that by themselves, and without it they can show one size of AV1 alone.
 */

const DESCRIPTOR = 'https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension';

/** Call before the offer. Browsers that do not know it go on as before. @param {RTCRtpTransceiver} transceiver of pictures */
export function describeFrames(transceiver) {
  const extensions = transceiver.getHeaderExtensionsToNegotiate?.() ?? [];
  const descriptor = extensions.find(({ uri }) => uri === DESCRIPTOR);
  if (descriptor?.direction !== 'stopped') return;
  descriptor.direction = 'recvonly';
  transceiver.setHeaderExtensionsToNegotiate?.(extensions);
}
