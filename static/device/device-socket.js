/**
 * The socket of device calls: its messages in both directions.
 */
import { SignalingSocket } from '../client/signaling-socket.js';

const PATH = '/socket.io';
/** The same device has connected again, somewhere else. */
const REPLACED = 4001;

export class DeviceSocket {
  #socket;

  /**
   * @param {string} token
   * @param {object} handlers
   * @param {(message: {type: string}) => void} handlers.onMessage
   * @param {(state: 'connected' | 'lost' | 'replaced') => void} handlers.onState
   */
  constructor(token, handlers) {
    const url = new URL(`${PATH}?${new URLSearchParams({ token })}`, location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    this.#socket = new SignalingSocket(url.href, {
      // A message without a kind is answered with a complaint, which is a sign of life.
      probe: () => ({}),
      onOpen: () => handlers.onState('connected'),
      onMessage: (frame) => {
        this.#socket.markHealthy();
        const message = read(frame);
        if (message) handlers.onMessage(message);
      },
      onLost: ({ code }) => {
        handlers.onState(code === REPLACED ? 'replaced' : 'lost');
        return code !== REPLACED;
      },
    });
    this.#socket.open();
  }

  call(to) {
    return this.#socket.send({ type: 'call', to_phone: to.phone, to_device_id: to.device });
  }

  answer(from, room, isAccepted) {
    const type = isAccepted ? 'called_success' : 'called_refuse';
    this.#socket.send({ type, from_phone: from.phone, from_device_id: from.device, room_id: room });
  }

  hangUp(other, room) {
    this.#socket.send({ type: 'calling_hangup', notified_phone: other.phone, notified_device_id: other.device, room_id: room });
  }

  close() {
    this.#socket.close();
  }
}

function read(frame) {
  try {
    const message = JSON.parse(frame);
    return typeof message?.type === 'string' ? message : null;
  } catch {
    return null;
  }
}
