// Lets a test say to a page of meetings what a server would say of the features of adaptive quality, and keeps what the page wants:
// so the page is tested alone, whatever the server makes of it.
(() => {
  const wants = [];
  const handlers = { video_quality: null, send_layers: null };
  const Before = window.EventSource;
  window.EventSource = class extends Before {
    addEventListener(name, handler, ...options) {
      if (name in handlers) handlers[name] = handler;
      else super.addEventListener(name, handler, ...options);
    }
  };
  const ask = window.fetch.bind(window);
  window.fetch = (address, options) => {
    if (!/\/participants\/[^/]+\/wants$/.test(String(address))) return ask(address, options);
    wants.push(JSON.parse(options.body));
    return Promise.resolve(new Response('{"status":"success","result":true}'));
  };
  window.asConference = {
    wants,
    last: () => wants.at(-1),
    say: (name, data) => handlers[name]({ data: JSON.stringify(data) }),
  };
})();
