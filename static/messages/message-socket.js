/**
 * The message socket: binds, answers heartbeats, comes back by itself, and says what arrives.
 */
import { CMD, MSGTYPE, decode, encode } from '../client/message-model.js';
import { SignalingSocket } from '../client/signaling-socket.js';

const PATH = '/ws';
const REFUSED = 1008;

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
   * @param {(state: 'connected' | 'lost' | 'refused') => void} handlers.onState
   */
  constructor(self, handlers) {
    this.#self = self;
    this.#handlers = handlers;
    const url = new URL(PATH, location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    this.#socket = new SignalingSocket(url.href, {
      encode,
      // The server answers with one message for each who is online: this one at least.
      probe: () => ({ cmd: CMD.online, msgtype: MSGTYPE.send }),
      onOpen: () => this.#bind(),
      onMessage: (frame) => frame instanceof ArrayBuffer && this.#receive(decode(new Uint8Array(frame))),
      onLost: ({ code }) => this.#lost(code),
    });
    this.#socket.open();
  }

  /** @returns {boolean} whether there is a connection to take it */
  send(message) {
    return this.#socket.send(message);
  }

  close() {
    this.#socket.close();
  }

  #bind() {
    const { id } = this.#self;
    this.send({ version: '1.0', cmd: CMD.bind, msgtype: MSGTYPE.send, sender: id, token: id, flag: 1, platform: 'web' });
    this.send({ cmd: CMD.online, msgtype: MSGTYPE.send });
    this.#handlers.onState('connected');
  }

  #receive(message) {
    if (!message) return;
    this.#socket.markHealthy();
    if (message.cmd === CMD.heartbeat) this.send({ cmd: CMD.heartbeat, msgtype: MSGTYPE.reply });
    if (message.cmd === CMD.online) this.#handlers.onOnline(message.sender, message.timeStamp);
    if (message.cmd === CMD.offline) this.#handlers.onOffline(message.sender);
    if (message.cmd === CMD.message) this.#handlers.onMessage(message);
    if (message.cmd === CMD.reconnect) this.#handlers.onState('refused');
  }

  #lost(code) {
    this.#handlers.onState(code === REFUSED ? 'refused' : 'lost');
    return code !== REFUSED;
  }
}
