/**
 * Line icons on a 24 × 24 grid, drawn for these pages. Each is a list of path data.
 */
const NS = 'http://www.w3.org/2000/svg';

const PATHS = {
  mic: ['M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3z', 'M5.5 11a6.5 6.5 0 0 0 13 0', 'M12 17.5V21', 'M8.5 21h7'],
  micOff: ['M15 10.5V6a3 3 0 0 0-5.7-1.3', 'M9 9v2a3 3 0 0 0 4.6 2.5', 'M5.5 11a6.5 6.5 0 0 0 10.3 5.3', 'M18.5 11a6.5 6.5 0 0 1-.7 2.9', 'M12 17.5V21', 'M8.5 21h7', 'M4 3l16 18'],
  camera: ['M4.5 6.5h9a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2h-9a2 2 0 0 1-2-2v-7a2 2 0 0 1 2-2z', 'M15.5 10.5l6-3v9l-6-3'],
  cameraOff: ['M10 6.5h3.5a2 2 0 0 1 2 2V12', 'M15.5 15.5a2 2 0 0 1-2 2h-9a2 2 0 0 1-2-2v-7a2 2 0 0 1 1.6-1.95', 'M15.5 10.5l6-3v9l-3.5-1.75', 'M4 3l16 18'],
  screen: ['M4 4.5h16a1.5 1.5 0 0 1 1.5 1.5v9a1.5 1.5 0 0 1-1.5 1.5H4A1.5 1.5 0 0 1 2.5 15V6A1.5 1.5 0 0 1 4 4.5z', 'M8 20.5h8', 'M12 13.5V8', 'M9.5 10.2L12 7.7l2.5 2.5'],
  chat: ['M5 4.5h14a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2h-6.5L8 20.5v-4H5a2 2 0 0 1-2-2v-8a2 2 0 0 1 2-2z', 'M8 9h8', 'M8 12.3h5'],
  people: ['M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z', 'M2.5 20c.4-3.5 3-5.5 6.5-5.5s6.1 2 6.5 5.5', 'M16 4.5a3.3 3.3 0 0 1 0 6.2', 'M18 14.9c2 .8 3.3 2.5 3.6 5.1'],
  chart: ['M4 20V11', 'M9.5 20V4', 'M15 20v-6', 'M20.5 20V8'],
  gear: ['M12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6z', 'M19.4 13.5a7.6 7.6 0 0 0 0-3l2-1.5-2-3.5-2.4 1a7.6 7.6 0 0 0-2.6-1.5L14 2.5h-4l-.4 2.5A7.6 7.6 0 0 0 7 6.5l-2.4-1-2 3.5 2 1.5a7.6 7.6 0 0 0 0 3l-2 1.5 2 3.5 2.4-1a7.6 7.6 0 0 0 2.6 1.5l.4 2.5h4l.4-2.5a7.6 7.6 0 0 0 2.6-1.5l2.4 1 2-3.5z'],
  leave: ['M3 14.5c-.6-1.7-.3-3.2 1-4.3 4.5-3.6 11.5-3.6 16 0 1.3 1.1 1.6 2.6 1 4.3-.2.6-.8.9-1.4.7l-3-.9c-.6-.2-1-.7-1-1.3v-1.7a12 12 0 0 0-7.2 0V13c0 .6-.4 1.1-1 1.3l-3 .9c-.6.2-1.2-.1-1.4-.7z'],
  lock: ['M6.5 11h11a1.5 1.5 0 0 1 1.5 1.5v7a1.5 1.5 0 0 1-1.5 1.5h-11A1.5 1.5 0 0 1 5 19.5v-7A1.5 1.5 0 0 1 6.5 11z', 'M8 11V7.5a4 4 0 0 1 8 0V11'],
  more: ['M5 12h.01', 'M12 12h.01', 'M19 12h.01'],
  link: ['M10 13.5a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7l-1.6 1.6', 'M14 10.5a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.7 5.7l1.6-1.6'],
  pin: ['M9 3.5h6l-.8 6 3.3 3.5v1.5h-11V13l3.3-3.5z', 'M12 14.5v6'],
  close: ['M6 6l12 12', 'M18 6L6 18'],
  send: ['M4 12L20.5 4.5 15 20.5l-3.2-6.3z', 'M11.8 14.2l8.7-9.7'],
  clip: ['M19.5 11.5l-7.6 7.6a5 5 0 0 1-7.1-7.1l8.1-8.1a3.4 3.4 0 0 1 4.8 4.8l-8 8a1.7 1.7 0 0 1-2.4-2.4l7-7'],
  file: ['M6.5 3h7.5l4.5 4.5v12a1.5 1.5 0 0 1-1.5 1.5H6.5A1.5 1.5 0 0 1 5 19.5v-15A1.5 1.5 0 0 1 6.5 3z', 'M14 3v4.5h4.5'],
  check: ['M5 12.5l4.5 4.5L19 7.5'],
  warning: ['M12 4l9 15.5H3z', 'M12 10v4.5', 'M12 17.2h.01'],
  grid: ['M4 4.5h6.5v6.5H4z', 'M13.5 4.5H20v6.5h-6.5z', 'M4 13.5h6.5V20H4z', 'M13.5 13.5H20V20h-6.5z'],
  spotlight: ['M4 4.5h16v10H4z', 'M4 18h4v2H4z', 'M10 18h4v2h-4z', 'M16 18h4v2h-4z'],
  speaker: ['M4 9.5h3.5L12 5.5v13l-4.5-4H4z', 'M15.5 9a4.2 4.2 0 0 1 0 6', 'M18 6.5a8 8 0 0 1 0 11'],
  leaf: ['M5 19c0-9 5-14 15-14.5C20.5 14 15 19 8 18', 'M5 20.5c1-4.5 4-8 8.5-10'],
  arrowDown: ['M12 5v14', 'M6 13l6 6 6-6'],
  arrowRight: ['M5 12h14', 'M13 6l6 6-6 6'],
  copy: ['M9 8.5h9.5a1 1 0 0 1 1 1V20a1 1 0 0 1-1 1H9a1 1 0 0 1-1-1V9.5a1 1 0 0 1 1-1z', 'M5 15.5H4.5a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1H14a1 1 0 0 1 1 1v1'],
  enlarge: ['M9 4H4v5', 'M4 4l6 6', 'M15 20h5v-5', 'M20 20l-6-6'],
};

/** @param {keyof typeof PATHS} name */
export function icon(name) {
  const svg = document.createElementNS(NS, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  setIcon(svg, name);
  return svg;
}

/** Turns an icon into another one. */
export function setIcon(svg, name) {
  if (svg.dataset.icon === name) return;
  svg.dataset.icon = name;
  svg.replaceChildren(
    ...PATHS[name].map((data) => {
      const path = document.createElementNS(NS, 'path');
      path.setAttribute('d', data);
      return path;
    }),
  );
}

/** Puts icons where the page's HTML says `data-icon="…"`. */
export function placeIcons(root) {
  for (const place of root.querySelectorAll('[data-icon]:not(svg)')) place.prepend(icon(place.dataset.icon));
}
