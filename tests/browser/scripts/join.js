// How long the first picture of user 1 took since the page joined, and how much of that time was waiting for the
// server.
const when = (list, type) => list.find(({ message }) => message.type === type).at;
const [frame] = probe.firstFrames;
const joined = when(probe.sent, 'join');
// The list comes with the answer to the offer that was sent with the join.
const list = when(probe.received, 'existingParticipants') - joined;
const picture = frame.at - probe.connected.find(({ peer }) => peer === frame.peer).at;
return { whole: Math.round(frame.at - joined), servers: Math.round(list + Math.max(0, picture)) };
