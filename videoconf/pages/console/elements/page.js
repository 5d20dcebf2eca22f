// The head of a view: its title, the actions beside it, and a link back.

import { h } from "../dom.js";

export const page = (title, { aside, intro, back, trail } = {}, ...content) => [
  h(
    "div",
    { class: "head" },
    h("div", {}, back && h("a", { class: "back", href: back.href }, "← ", back.label), h("h1", {}, title), intro && h("p", { class: "quiet intro" }, intro)),
    aside && h("div", { class: "aside" }, aside),
  ),
  trail,
  content,
];

/** A part of a view with a title. */
export const section = (title, aside, ...content) => {
  const head = h("header", {}, h("h2", {}, title), aside && h("div", { class: "aside" }, aside));
  return h("section", { class: "card", "aria-label": title }, head, content);
};
