// When what a join needs was there, in milliseconds from the moment at which the page opened its socket.
const at = (list, type) => list.find(({ message }) => message.type === type).at;
const [frame] = probe.firstFrames;
const opened = probe.sockets[0];
const list = probe.received.find(({ message }) => message.type === 'existingParticipants');
const times = {
  join: at(probe.sent, 'join'),
  list: list.at,
  connected: probe.connected.find(({ peer }) => peer === frame.peer).at,
  picture: frame.at,
};
const since = Object.fromEntries(Object.entries(times).map(([name, time]) => [name, Math.round(time - opened)]));
return { ...since, answered: list.message.watch !== undefined };
