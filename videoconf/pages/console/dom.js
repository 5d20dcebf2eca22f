// Elements from descriptions. Strings become text nodes and never markup, so what participants typed stays text.

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "open", "selected", "indeterminate"]);

/** Build an HTML element: `h("a", { href, class: "name", onclick }, "text", child)`. Absent values are left out. */
export const h = (tag, properties, ...children) => fill(document.createElement(tag), properties, children);

/** Build an SVG element in the same way. */
export const svg = (tag, properties, ...children) => fill(document.createElementNS(SVG, tag), properties, children);

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name) && name in element) element[name] = value;
    else if (typeof value === "object" || typeof value === "function") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...present(children));
  return element;
}

/** Flatten children, and leave out those that are absent. */
export const present = (children) =>
  children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);

/** Replace what an element holds. */
export function put(element, ...children) {
  element.replaceChildren(...present(children));
  return element;
}

const ICONS = {
  meetings: "M3 5.5h10v9H3zM13 8.5l4-2v7l-4-2",
  archives: "M3 4.5h14v4H3zM4.5 8.5v7h11v-7M8 11.5h4",
  events: "M10 3v4M10 13v4M3 10h4M13 10h4M10 7a3 3 0 1 0 0 6 3 3 0 0 0 0-6",
  webhooks: "M4 10h9M9.5 6 13.5 10l-4 4M16.5 4v12",
  providers: "M4 4h12v5H4zM4 11h12v5H4zM7 6.5h.01M7 13.5h.01",
  jobs: "M10 3.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M10 6.5V10l2.5 2",
  audit: "M5 3h7l3 3v11H5zM8 9h4M8 12h4",
  search: "M9 4a5 5 0 1 0 0 10A5 5 0 0 0 9 4M13 13l4 4",
  close: "M5 5l10 10M15 5L5 15",
  more: "M5 10h.01M10 10h.01M15 10h.01",
  plus: "M10 4v12M4 10h12",
  minus: "M4 10h12",
  fit: "M4 8V4h4M12 4h4v4M16 12v4h-4M8 16H4v-4",
  download: "M10 3.5v9M6.5 9.5 10 13l3.5-3.5M4 16.5h12",
  back: "M12 5 7 10l5 5",
  down: "M6 8l4 4 4-4",
  person: "M10 4a3 3 0 1 0 0 6 3 3 0 0 0 0-6M4 16.5c.6-3 3-4.5 6-4.5s5.400 1.500 6 4.500",
  copy: "M7 7h9v9H7zM4 13V4h9",
  hold: "M6 9h8v7H6zM7.500 9V6.500a2.500 2.500 0 0 1 5 0V9",
  key: "M7 9.500a3 3 0 1 0 0 6 3 3 0 0 0 0-6M9.200 10.300 16 3.500M13 6.500l2 2",
};

/** Draw an icon, which says nothing to a screen reader: the words beside it do. */
export const icon = (name) =>
  svg(
    "svg",
    { viewBox: "0 0 20 20", class: "icon", "aria-hidden": "true", focusable: "false" },
    svg("path", { d: ICONS[name], "stroke-width": name === "more" ? 2.5 : null }),
  );
