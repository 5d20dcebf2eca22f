// Making elements: the few functions that every component of these pages uses.

/** Make an element: `make("p", { class: "quiet", hidden: true }, "text", child)`. Text is never read as HTML. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

const PATHS = {
  camera: "M3 7.5A1.5 1.5 0 0 1 4.5 6h9A1.5 1.5 0 0 1 15 7.5v9a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 3 16.5zm12 3 6-3.5v10L15 13.5",
  microphone: "M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3zM5.5 11a6.5 6.5 0 0 0 13 0M12 17.5V21",
  off: "M4 4l16 16",
  leave: "M3.5 14.2c4.7-4.6 12.3-4.6 17 0l-2.6 2.6-3.4-1.6v-2.4a9 9 0 0 0-5 0v2.4l-3.4 1.6z",
  people: "M9 11a3.2 3.2 0 1 0 0-6.4A3.2 3.2 0 0 0 9 11zm-6 8c0-3.3 2.7-5.5 6-5.5s6 2.2 6 5.5M16 11a2.8 2.8 0 1 0-1-5.4M17.5 13.8c2 .6 3.5 2.4 3.5 5.2",
  settings: "M5 7h8m4 0h2M5 12h2m4 0h8M5 17h8m4 0h2M15 5v4M9 10v4M15 15v4",
  close: "M6 6l12 12M18 6L6 18",
  previous: "M14.5 5.5 8 12l6.5 6.5",
  next: "M9.5 5.5 16 12l-6.5 6.5",
};

/** Make an icon; with `off` it is crossed out. It says nothing to a screen reader: its button has a label. */
export function icon(name, { off = false } = {}) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [key, value] of [["viewBox", "0 0 24 24"], ["aria-hidden", "true"], ["class", "icon"]]) svg.setAttribute(key, value);
  for (const path of off ? [name, "off"] : [name]) {
    const shape = document.createElementNS(svg.namespaceURI, "path");
    shape.setAttribute("d", PATHS[path]);
    svg.append(shape);
  }
  return svg;
}

/** Make a button with an icon and a label for screen readers and for the pointer. */
export function iconButton(name, label, attributes = {}) {
  return make("button", { type: "button", class: "round", "aria-label": label, title: label, ...attributes }, icon(name));
}

/** Show in a button whether its device is on. */
export function showSwitch(button, name, isOn, label) {
  button.setAttribute("aria-pressed", String(isOn));
  button.setAttribute("aria-label", label);
  button.title = label;
  button.replaceChildren(icon(name, { off: !isOn }));
}

// What shows nothing or reorders the text around it: controls, zero-width characters, overrides of direction.
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0\u034f]/gu;
const JOINERS = /[\u200c\u200d]/u; // within words of Persian or Hindi, and within emoji
const LONGEST = 40;

/** Return a participant's name as it can be shown on one line: cut in the middle; `otherwise` where nothing is visible. */
export function shownName(name, otherwise) {
  const text = String(name ?? "").replace(/\s+/gu, " ").replace(INVISIBLE, (found) => (JOINERS.test(found) ? found : "")).trim();
  if (!text.replace(INVISIBLE, "").trim()) return otherwise;
  const characters = Array.from(text);
  if (characters.length <= LONGEST) return text;
  return `${characters.slice(0, LONGEST - 12).join("")}…${characters.slice(-11).join("")}`;
}

/** Make an element for a participant's name, apart from the text around it, with the whole name on hover. */
export function nameElement(name, otherwise, attributes = {}) {
  const shown = shownName(name, otherwise);
  return make("bdi", { title: shown === name ? null : String(name ?? "").slice(0, 500), ...attributes }, shown);
}

/** Return up to two letters that stand for a name. */
export function initials(name) {
  const words = shownName(name, "").split(" ").map((word) => word.match(/[\p{L}\p{N}]\p{M}?/u)?.[0]).filter(Boolean);
  return (words.length > 1 ? words[0] + words.at(-1) : words[0] ?? "").toLocaleUpperCase();
}
