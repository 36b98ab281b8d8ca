/**
 * The relays (TURN) that the server has announced, for networks that let nothing else through. One server serves a page, so
 * the page has one list; connections that are made later use the newest.
 */

/** @type {RTCIceServer[]} */
let known = [];

/** @param {unknown} servers what the server has sent */
export function noteIceServers(servers) {
  if (Array.isArray(servers)) known = servers.filter((server) => Array.isArray(server?.urls));
}

/** @returns {RTCConfiguration} for a new connection */
export function rtcConfiguration() {
  return { bundlePolicy: 'max-bundle', iceServers: known };
}
