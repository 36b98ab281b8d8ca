// Lets a test say to the page what a server would say of the features of adaptive quality, and keeps what the page wants:
// so the page is tested alone, whatever the server makes of it.
(() => {
  const wants = [];
  let handle = () => {};
  const Before = window.WebSocket;
  window.WebSocket = class extends Before {
    set onmessage(handler) {
      handle = handler;
      super.onmessage = (event) => {
        const message = JSON.parse(event.data);
        if (message.type === 'existingParticipants') message.features = ['videoWants', 'videoQuality', 'sendLayers'];
        const isForTest = message.type === 'videoQuality' || message.type === 'sendLayers';
        if (!isForTest) handler({ data: JSON.stringify(message) });
      };
    }
    send(data) {
      const message = JSON.parse(data);
      if (message.type === 'videoWants') wants.push({ at: performance.now(), ...message });
      else super.send(data);
    }
  };
  const asServer = {
    wants,
    /** The newest wish, as text: heights, on stage, last N. */
    last: () => wants.length && { heights: wants.at(-1).heights, onStage: wants.at(-1).onStage, lastN: wants.at(-1).lastN ?? null },
    say: (message) => handle({ data: JSON.stringify(message) }),
    /** Lets the page believe that its tab is hidden, or shown again. */
    setHidden(hidden) {
      Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => (hidden ? 'hidden' : 'visible') });
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event('visibilitychange'));
    },
  };
  window.asServer = asServer;
})();
