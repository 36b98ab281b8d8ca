/**
 * The descriptions of a connection with several voices and pictures. The server has one section for all voices that it sends and
 * one for all pictures, with an SSRC for each; a browser wants a section for each. So the server is sent an offer without the
 * further sections, and the browser is given an answer with them. Pure.
 */

/** The extension that names a section in packets. The server does not know the browser's further sections, so it sends none. */
const MID_EXTENSION = 'urn:ietf:params:rtp-hdrext:sdes:mid';
/** The names of streams, by kind. */
const NAMES = { audio: 'voice', video: 'picture' };
/** Lines about what the other side sends, which each section has of its own. */
const OF_STREAMS = /^a=(ssrc|ssrc-group|msid|rid|simulcast):/;
/** Those of them that are about what the browser sends, since this is an answer. */
const OF_OWN_LAYERS = /^a=(rid|simulcast):/;
const DIRECTION = /^a=(sendrecv|sendonly|recvonly|inactive)$/;

/**
 * @param {string} sdp the browser's offer, of whose sections the server gets the first of each kind
 * @returns {string} the offer for the server
 */
export function offerForServer(sdp) {
  const { session, sections } = split(sdp);
  const kinds = sections.map(kindOf);
  const kept = sections.filter((_, index) => kinds.indexOf(kinds[index]) === index);
  const lines = kept.map((section) => section.filter((line) => !(line.startsWith('a=extmap:') && line.includes(MID_EXTENSION))));
  return join(bundled(session, kept), lines);
}

/**
 * @param {string} offer the browser's own @param {string} answer the server's, to the offer for it
 * @param {Record<'audio' | 'video', ({ssrc: number, rtx?: number} | null)[]>} streams what comes in each section of a kind; null for
 *        nothing
 * @returns {string} the answer for the browser
 */
export function answerForBrowser(offer, answer, streams) {
  const answered = split(answer);
  const places = { audio: 0, video: 0 };
  const sections = split(offer).sections.map((section) => {
    const kind = kindOf(section);
    const place = places[kind]++;
    const shared = answered.sections.find((one) => kindOf(one) === kind) ?? [];
    return streamSection(shared, midOf(section), place, `${NAMES[kind]}${place}`, streams[kind][place] ?? null);
  });
  return join(bundled(answered.session, sections), sections);
}

/** The server's section of a kind as that of one stream. The first one is also that of one's own. */
function streamSection(shared, mid, place, name, stream) {
  const isOwn = place === 0;
  const isKept = (line) => !OF_STREAMS.test(line) || (isOwn && OF_OWN_LAYERS.test(line));
  const kept = shared.filter(isKept).map((line) => (line.startsWith('a=mid:') ? `a=mid:${mid}` : line));
  const lines = isOwn ? kept : kept.map((line) => (DIRECTION.test(line) ? `a=${stream ? 'sendonly' : 'inactive'}` : line));
  if (!stream) return isOwn ? [...lines, ...shared.filter((line) => !isKept(line))] : lines;
  const { ssrc, rtx } = stream;
  const about = (one) => [`a=ssrc:${one} cname:${name}`, `a=ssrc:${one} msid:${name} ${name}`];
  const group = rtx ? [`a=ssrc-group:FID ${ssrc} ${rtx}`, ...about(rtx)] : [];
  return [...lines, `a=msid:${name} ${name}`, ...about(ssrc), ...group];
}

function bundled(session, sections) {
  const mids = sections.map(midOf).join(' ');
  return session.map((line) => (line.startsWith('a=group:BUNDLE') ? `a=group:BUNDLE ${mids}` : line));
}

/** @returns {'audio' | 'video'} */
function kindOf(section) {
  return section[0].slice('m='.length).split(' ')[0];
}

function midOf(section) {
  return section.find((line) => line.startsWith('a=mid:'))?.slice('a=mid:'.length) ?? '';
}

/** @returns {{session: string[], sections: string[][]}} */
function split(sdp) {
  const session = [];
  const sections = [];
  for (const line of sdp.split(/\r?\n/).filter(Boolean)) {
    if (line.startsWith('m=')) sections.push([]);
    (sections.at(-1) ?? session).push(line);
  }
  return { session, sections };
}

function join(session, sections) {
  return `${[...session, ...sections.flat()].join('\r\n')}\r\n`;
}
