/**
 * The message socket: binds, answers heartbeats, comes back by itself, and passes on what arrives.
 */
import { CMD, MSGTYPE, decode, encode } from '../client/message-model.js';
import { ownToken } from '../client/own-token.js';
import { SignalingSocket } from '../client/signaling-socket.js';

const PATH = '/ws';
/** The close codes after which another attempt is of no use, and what they mean. */
const ENDINGS = { 1008: 'refused', 4001: 'replaced', 4401: 'tokenMissing', 4403: 'tokenRefused' };

export class MessageSocket {
  #socket;
  #handlers;
  #self;

  /**
   * @param {{id: string, name: string}} self
   * @param {object} handlers
   * @param {(user: string, time: string) => void} handlers.onOnline
   * @param {(user: string) => void} handlers.onOffline
   * @param {(message: object) => void} handlers.onMessage
   * @param {() => void} handlers.onOneMore one more page or device, or somebody else, is online under the same id
   * @param {(state: 'connected' | 'lost' | 'refused' | 'replaced' | 'tokenMissing' | 'tokenRefused') => void} handlers.onState
   */
  constructor(self, handlers) {
    this.#self = self;
    this.#handlers = handlers;
    const url = new URL(PATH, location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    this.#socket = new SignalingSocket(url.href, {
      encode,
      // The server answers with one message for each person who is online, which includes this one.
      probe: () => ({ cmd: CMD.online, msgtype: MSGTYPE.send }),
      onOpen: () => this.#bind(),
      onMessage: (frame) => frame instanceof ArrayBuffer && this.#receive(decode(new Uint8Array(frame))),
      onLost: ({ code }) => this.#lost(code),
    });
    this.#socket.open();
  }

  /** @returns {boolean} whether there is a connection for it */
  send(message) {
    return this.#socket.send(message);
  }

  close() {
    this.#socket.close();
  }

  #bind() {
    const { id } = this.#self;
    this.send({ version: '1.0', cmd: CMD.bind, msgtype: MSGTYPE.send, sender: id, token: ownToken(id) || id, flag: 1, platform: 'web' });
    this.send({ cmd: CMD.online, msgtype: MSGTYPE.send });
    this.#handlers.onState('connected');
  }

  #receive(message) {
    if (!message) return;
    this.#socket.markHealthy();
    if (message.cmd === CMD.heartbeat) this.send({ cmd: CMD.heartbeat, msgtype: MSGTYPE.reply });
    const isOneMore = message.cmd === CMD.online && message.msgtype === MSGTYPE.notify;
    if (isOneMore) this.#handlers.onOneMore();
    else if (message.cmd === CMD.online) this.#handlers.onOnline(message.sender, message.timeStamp);
    if (message.cmd === CMD.offline) this.#handlers.onOffline(message.sender);
    if (message.cmd === CMD.message) this.#handlers.onMessage(message);
    if (message.cmd === CMD.reconnect) this.#handlers.onState('refused');
  }

  #lost(code) {
    this.#handlers.onState(ENDINGS[code] ?? 'lost');
    return !(code in ENDINGS);
  }
}
