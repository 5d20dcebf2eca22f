// A line that says what was done, and goes away by itself. Screen readers read it out.

import { h } from "../dom.js";

const SECONDS = 5;
let region = null;

export function tell(text) {
  if (region === null) {
    region = h("div", { class: "toasts", role: "status", "aria-live": "polite" });
    document.body.append(region);
  }
  const line = h("p", { class: "toast" }, text);
  region.append(line);
  setTimeout(() => line.remove(), SECONDS * 1000);
}
