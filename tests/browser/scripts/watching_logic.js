// The room client's connection for everybody, with a server that is a connection of the same page.
import { RoomClient } from '/static/client/room-client.js';

function equal(actual, expected) {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${a} instead of ${b}`);
}

const people = (ids) => ids.map((id) => ({ id, userId: id, name: `${id}` }));

/** Runs `test` with a client whose socket is this double. */
async function withClient(test) {
  const real = globalThis.WebSocket;
  const sent = [];
  let socket = null;
  globalThis.WebSocket = class {
    static OPEN = 1;
    readyState = 1;
    constructor() {
      socket = this;
    }
    send(text) {
      sent.push(JSON.parse(text));
    }
    close() {}
  };
  const client = new RoomClient({ room: 'r', userId: '1', url: 'ws://nowhere.test' });
  const server = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  const receive = (message) => socket.onmessage({ data: JSON.stringify(message) });
  /** The next message of a type that was not asked for yet. */
  const next = async (type) => {
    for (let turn = 0; turn < 200; turn += 1) {
      const index = sent.findIndex((one) => one.type === type);
      if (index >= 0) return sent.splice(index, 1)[0];
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(`no ${type} among ${sent.map((one) => one.type)}`);
  };
  const answer = async (sdp) => {
    await server.setRemoteDescription({ type: 'offer', sdp });
    for (const transceiver of server.getTransceivers()) {
      if (transceiver.direction === 'recvonly') transceiver.direction = 'sendonly';
    }
    await server.setLocalDescription();
    return server.localDescription.sdp;
  };
  try {
    client.join();
    socket.onopen();
    await test({ client, receive, next, answer, count: (type) => sent.filter((one) => one.type === type).length });
  } finally {
    client.leave();
    server.close();
    globalThis.WebSocket = real;
  }
}

export const cases = {
  async 'a server that does not know the feature is offered a connection for each person'() {
    await withClient(async ({ receive, next, count }) => {
      await next('join');
      receive({ type: 'existingParticipants', participants: people([2, 3]), features: ['videoWants'] });
      const offered = [await next('receiveVideoFrom'), await next('receiveVideoFrom'), await next('receiveVideoFrom')];
      equal(offered.map(({ userId }) => userId).sort(), [1, 2, 3]);
      equal(count('watch'), 0);
    });
  },

  async 'whoever has no place in the offer that came with the join is in the next one'() {
    await withClient(async ({ receive, next, answer, client }) => {
      const { watchOffer } = await next('join');
      const watch = { userIds: [2, 3, 4], sdpAnswer: await answer(watchOffer) };
      receive({ type: 'existingParticipants', participants: people([2, 3, 4, 5]), features: ['watch'], watch });
      const more = await next('watch');
      equal(more.userIds, [2, 3, 4, 5]);
      equal([2, 5].map((id) => client.participants.get(`${id}`).stream.getTracks().length), [2, 0]);
      receive({ type: 'watchAnswer', userIds: more.userIds, sdpAnswer: await answer(more.sdpOffer) });
      for (let turn = 0; turn < 100 && client.participants.get('5').trackIds.length === 0; turn += 1) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      equal(client.participants.get('5').stream.getTracks().length, 2);
      const ids = ['2', '3', '4', '5'].flatMap((id) => client.participants.get(id).trackIds);
      equal(new Set(ids).size, 8);
    });
  },

  async 'an offer that names somebody who has left meanwhile is made again without them'() {
    await withClient(async ({ receive, next, answer }) => {
      const { watchOffer } = await next('join');
      const watch = { userIds: [2], sdpAnswer: await answer(watchOffer) };
      receive({ type: 'existingParticipants', participants: people([2]), features: ['watch'], watch });
      receive({ type: 'newParticipantArrived', participant: people([3])[0] });
      receive({ type: 'newParticipantArrived', participant: people([4])[0] });
      const refused = await next('watch');
      equal(refused.userIds, [2, 3, 4]);
      receive({ type: 'participantLeft', userId: 3 });
      receive({ type: 'unrecognizedMessage', message: refused, reason: 'nobody of that name is in the room' });
      equal((await next('watch')).userIds, [2, 4]);
    });
  },

  async 'a first offer that is refused is made again'() {
    await withClient(async ({ receive, next }) => {
      await next('join');
      receive({ type: 'existingParticipants', participants: people([2, 3]), features: ['watch'], watchRefused: 'no place' });
      const first = await next('watch');
      equal(first.userIds, [2, 3]);
      receive({ type: 'unrecognizedMessage', message: first, reason: 'no place' });
      equal((await next('watch')).userIds, [2, 3]);
    });
  },

  async 'an answer to a connection that was ended meanwhile does not disturb the next one'() {
    await withClient(async ({ receive, next, client }) => {
      await next('join');
      receive({ type: 'existingParticipants', participants: [], features: ['watch'] });
      receive({ type: 'newParticipantArrived', participant: people([2])[0] });
      await next('watch');
      receive({ type: 'participantLeft', userId: 2 });
      receive({ type: 'newParticipantArrived', participant: people([3])[0] });
      equal((await next('watch')).userIds, [3]);
      receive({ type: 'watchAnswer', userIds: [2], sdpAnswer: 'v=0' });
      await new Promise((resolve) => setTimeout(resolve, 50));
      equal(client.participants.get('3').pc.signalingState, 'have-local-offer');
    });
  },
};
