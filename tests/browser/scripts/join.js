// How long the first picture of user 1 took since the page joined, and how much of that time was waiting for the
// server.
const when = (list, type, user) => list.find(({ message }) => message.type === type && (!user || String(message.userId) === user)).at;
const [frame] = probe.firstFrames;
const joined = when(probe.sent, 'join');
const list = probe.received[0].at - joined;
const answer = when(probe.received, 'receiveVideoAnswer', '1') - when(probe.sent, 'receiveVideoFrom', '1');
const picture = frame.at - probe.connected.find(({ peer }) => peer === frame.peer).at;
return { whole: Math.round(frame.at - joined), servers: Math.round(list + answer + Math.max(0, picture)) };
