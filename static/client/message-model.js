/**
 * The message socket's messages: Protocol Buffers (version 3), one message a frame, written and read by hand. Empty
 * fields are left out; unknown fields are skipped.
 */

/** Number and kind of each field, by its name in the pages. */
const FIELDS = {
  version: [1, 'text'],
  deviceId: [2, 'text'],
  cmd: [3, 'number'],
  sender: [4, 'text'],
  receiver: [5, 'text'],
  groupId: [6, 'text'],
  msgtype: [7, 'number'],
  flag: [8, 'number'],
  platform: [9, 'text'],
  platformVersion: [10, 'text'],
  token: [11, 'text'],
  appKey: [12, 'text'],
  timeStamp: [13, 'text'],
  sign: [14, 'text'],
  content: [15, 'body'],
  resSign: [16, 'text'],
  reqType: [17, 'text'],
  vagroupId: [18, 'text'],
  callType: [19, 'text'],
  senderName: [20, 'text'],
  senderPhoto: [21, 'text'],
  vagroupName: [22, 'text'],
  vaType: [23, 'text'],
  addGroupFlag: [24, 'text'],
};

/** The fields of `content`. */
const BODY_FIELDS = {
  title: [1, 'text'],
  content: [2, 'text'],
  time: [3, 'text'],
  type: [4, 'number'],
  extend: [5, 'text'],
};

export const CMD = { bind: 1, heartbeat: 2, online: 3, offline: 4, message: 5, reconnect: 6 };
export const MSGTYPE = { send: 1, notify: 3, reply: 4 };

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** @param {object} message by field name; `content` is an object of its own fields @returns {Uint8Array} */
export function encode(message) {
  return encodeFields(message, FIELDS);
}

/** @param {Uint8Array} bytes @returns {object | null} null if it is not a message */
export function decode(bytes) {
  return decodeFields(bytes, FIELDS);
}

function encodeFields(message, fields) {
  const out = [];
  for (const [name, [number, kind]] of Object.entries(fields)) {
    const value = message[name];
    if (!value) continue;
    if (kind === 'number') {
      writeVarint(out, number * 8 + VARINT);
      writeVarint(out, value);
      continue;
    }
    const bytes = kind === 'body' ? encodeFields(value, BODY_FIELDS) : new TextEncoder().encode(value);
    writeVarint(out, number * 8 + BYTES);
    writeVarint(out, bytes.length);
    for (const byte of bytes) out.push(byte);
  }
  return Uint8Array.from(out);
}

function decodeFields(bytes, fields) {
  const names = new Map(Object.entries(fields).map(([name, [number, kind]]) => [number, { name, kind }]));
  const message = {};
  for (const [name, [, kind]] of Object.entries(fields)) message[name] = { text: '', number: 0, body: null }[kind];
  const reader = { bytes, at: 0 };
  while (reader.at < bytes.length) {
    const key = readVarint(reader);
    if (key === null) return null;
    const value = readValue(reader, key % 8);
    if (value === null) return null;
    const field = names.get(Math.floor(key / 8));
    if (!field) continue;
    const read = readAs(field.kind, value);
    if (read === null) return null;
    message[field.name] = read;
  }
  return message;
}

/** A number, or bytes. Null if the message ends too early, and for groups, which nobody sends. */
function readValue(reader, wireType) {
  if (wireType === VARINT) return readVarint(reader);
  const length = { [FIXED64]: 8, [FIXED32]: 4 }[wireType] ?? (wireType === BYTES ? readVarint(reader) : null);
  if (length === null || reader.at + length > reader.bytes.length) return null;
  reader.at += length;
  return reader.bytes.subarray(reader.at - length, reader.at);
}

function readAs(kind, value) {
  if (kind === 'number') return typeof value === 'number' ? value : null;
  if (typeof value === 'number') return null;
  // A body that cannot be read is left out: the message around it may still be of use.
  if (kind === 'body') return decodeFields(value, BODY_FIELDS);
  return new TextDecoder().decode(value);
}

function writeVarint(out, number) {
  let rest = number;
  while (rest > 127) {
    out.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  out.push(rest);
}

function readVarint(reader) {
  let number = 0;
  for (let shift = 0; shift < 10; shift += 1) {
    const byte = reader.bytes[reader.at];
    if (byte === undefined) return null;
    reader.at += 1;
    number += (byte % 128) * 2 ** (7 * shift);
    if (byte < 128) return number;
  }
  return null;
}
