// Tests of the pages' socket: what becomes of its messages while it is cut.
import { Resumption } from '/static/client/resumption.js';
import { SignalingSocket } from '/static/client/signaling-socket.js';

function equal(actual, expected) {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${a} instead of ${b}`);
}

/** Waits until `condition` holds. */
async function until(condition, what) {
  for (let tries = 0; tries < 300; tries += 1) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`${what} does not come`);
}

/** A WebSocket whose other end is the test. */
class FakeWebSocket {
  static OPEN = 1;
  static all = [];
  readyState = 0;
  sent = [];

  constructor(url) {
    this.url = new URL(url);
    FakeWebSocket.all.push(this);
  }

  send(data) {
    this.sent.push(JSON.parse(data));
  }

  close(code) {
    this.closedWith = code;
    this.readyState = 3;
  }

  opens() {
    this.readyState = FakeWebSocket.OPEN;
    this.onopen();
  }

  says(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }

  ends(code, reason = '') {
    this.readyState = 3;
    this.onclose({ code, reason });
  }
}

/** Runs `test` with a socket that may resume, and the fake one that it has opened. */
async function withSocket(test) {
  const real = globalThis.WebSocket;
  globalThis.WebSocket = FakeWebSocket;
  FakeWebSocket.all = [];
  const seen = [];
  const socket = new SignalingSocket('ws://server.example/groupcall?a=b', {
    onOpen: () => seen.push('open'),
    onMessage: (data) => seen.push(JSON.parse(data)),
    onLost: ({ code }) => seen.push(`lost ${code}`) > 0,
    onCut: (isCut) => seen.push(isCut ? 'cut' : 'mended'),
    onUnsent: (messages) => seen.push({ unsent: messages }),
    probe: () => 'probe',
  }, { mayResume: true });
  try {
    socket.open();
    const [first] = FakeWebSocket.all;
    first.opens();
    await test({ socket, first, seen });
  } finally {
    socket.close();
    globalThis.WebSocket = real;
  }
}

async function nextSocket(number) {
  await until(() => FakeWebSocket.all.length >= number, `socket ${number}`);
  const next = FakeWebSocket.all[number - 1];
  next.opens();
  return next;
}

const greeting = (received, token = 'secret') => ({ resume: { token, withinMs: 15_000, ...(received !== undefined && { received }) } });

export const cases = {
  async 'a socket that is cut goes on over the next one, with what was missed'() {
    await withSocket(async ({ socket, first, seen }) => {
      equal(first.url.search, '?a=b&resume=new');
      equal(socket.send('join'), true);
      first.says(greeting());
      first.says('roster');
      socket.send('arrives');
      socket.send('is lost');
      first.ends(1006);
      equal(socket.send('waits'), true);
      const second = await nextSocket(2);
      equal(second.url.search, '?a=b&resume=secret&received=1');
      equal(second.sent, []);
      equal(socket.send('waits too'), true);
      second.says(greeting(2, 'newer'));
      equal(second.sent, ['is lost', 'waits', 'waits too']);
      second.says('news');
      equal(seen, ['open', 'roster', 'cut', 'mended', 'news']);
      second.ends(1006);
      const third = await nextSocket(3);
      equal(third.url.search, '?a=b&resume=newer&received=2');
      third.says(greeting(5, 'newest'));
      equal(third.sent, []);
    });
  },

  async 'a session that the server has not kept begins anew'() {
    await withSocket(async ({ socket, first, seen }) => {
      first.says(greeting());
      socket.send('old');
      first.ends(1006);
      socket.send('unsent');
      const second = await nextSocket(2);
      second.says({ resume: { token: 'other', withinMs: 15_000 } });
      equal(seen, ['open', 'cut', 'mended', { unsent: ['unsent'] }, 'lost 4412', 'open']);
      socket.send('join');
      equal(second.sent, ['join']);
      second.ends(1006);
      const third = await nextSocket(3);
      equal(third.url.search, '?a=b&resume=other&received=0');
      third.says({ resume: { token: 'other', withinMs: 15_000, received: 0 } });
      equal(third.sent, ['join']);
    });
  },

  async 'a socket that the server closes does not go on'() {
    for (const code of [1001, 1008, 1009, 4001, 4412]) {
      await withSocket(async ({ first, seen }) => {
        first.says(greeting());
        first.ends(code, 'the server is going down');
        const second = await nextSocket(2);
        equal(second.url.search, '?a=b&resume=new');
        equal(seen, ['open', `lost ${code}`, 'open']);
      });
    }
  },

  async 'a socket that a proxy closes goes on'() {
    for (const code of [1001, 1014, 1006]) {
      await withSocket(async ({ first, seen }) => {
        first.says(greeting());
        first.ends(code, '');
        const second = await nextSocket(2);
        equal(second.url.search, '?a=b&resume=secret&received=0');
        equal(seen, ['open', 'cut']);
      });
    }
  },

  async 'a page that leaves while it is cut off says so when it can'() {
    await withSocket(async ({ socket, first, seen }) => {
      first.says(greeting());
      socket.send('join');
      first.ends(1006);
      socket.send('leave');
      socket.close();
      equal(seen, ['open', 'cut', 'mended']);
      equal(socket.send('too late'), false);
      const second = FakeWebSocket.all[1];
      equal(second.url.search, '?a=b&resume=secret&received=0');
      second.says(greeting(1));
      equal(second.sent, ['leave']);
      equal(second.closedWith, 1000);
      equal(FakeWebSocket.all.length, 2);
    });
  },

  async 'a server that knows nothing of it is a server as ever'() {
    await withSocket(async ({ socket, first, seen }) => {
      first.says('roster');
      first.says({ resume: 'no greeting, since it comes second' });
      first.ends(1006);
      equal(socket.send('lost'), false);
      const second = await nextSocket(2);
      equal(second.url.search, '?a=b&resume=new');
      equal(seen, ['open', 'roster', { resume: 'no greeting, since it comes second' }, 'lost 1006', 'open']);
    });
  },

  async 'a page that takes its socket for dead says so, one that ends says goodbye'() {
    await withSocket(async ({ socket, first }) => {
      first.says(greeting());
      socket.check();
      equal(first.sent, ['probe']);
      await until(() => FakeWebSocket.all.length === 2, 'another socket');
      equal(first.closedWith, 4008);
      socket.close();
      equal(FakeWebSocket.all[1].closedWith ?? 'not open yet', 1000);
    });
  },

  'messages are counted, and so many are kept'() {
    const resumption = new Resumption();
    resumption.begin('secret', 15_000);
    for (let number = 1; number <= 3000; number += 1) resumption.keep(String(number));
    equal(resumption.missing(3000 - 2049), null);
    equal(resumption.missing(3000 - 2048).length, 2048);
    equal(resumption.missing(2998), ['2999', '3000']);
    equal(resumption.missing(3000), []);
    equal(resumption.missing(3001), null);
    resumption.keep('x'.repeat(3 * 1024 * 1024));
    resumption.keep('x'.repeat(2 * 1024 * 1024));
    equal(resumption.missing(3000), null);
    equal(resumption.missing(3001).length, 1);
  },

  'a message that the server never takes is not sent for ever'() {
    const resumption = new Resumption();
    resumption.begin('secret', 15_000);
    resumption.keep('too long');
    equal([1, 2, 3, 4].map(() => resumption.missing(0)), [['too long'], ['too long'], ['too long'], null]);
    resumption.begin('secret', 15_000);
    resumption.missing(0);
    resumption.missing(0);
    resumption.keep('another');
    equal(resumption.missing(1), ['another']);
    equal(resumption.missing(1), ['another']);
  },
};
