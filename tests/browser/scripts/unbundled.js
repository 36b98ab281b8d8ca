// Makes a page offer without BUNDLE, as older clients do: what it sends lacks the group, so the answer has a transport for each
// section. Only a browser that gathers for each section (`max-compat`) can follow that. Runs after the probe.
(() => {
  window.RTCPeerConnection = class extends window.RTCPeerConnection {
    constructor(configuration) {
      super({ ...configuration, bundlePolicy: 'max-compat' });
    }
  };

  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) {
    const message = JSON.parse(data);
    if (message.sdpOffer) message.sdpOffer = message.sdpOffer.replace(/a=group:BUNDLE.*\r\n/, '');
    send.call(this, JSON.stringify(message));
  };
})();
