// <vc-time at="2026-03-01T14:05:00Z">: "today 14:05" in the viewer's zone, UTC in full on hover.

import { exactly, inUtc, when } from "../format.js";
import { h, put } from "../dom.js";
import { Part } from "./part.js";

customElements.define(
  "vc-time",
  class extends Part {
    show() {
      const at = this.getAttribute("at");
      const date = new Date(at);
      const written = this.hasAttribute("exact") ? exactly(date) : when(date);
      put(this, h("time", { datetime: at, title: inUtc(date) }, written));
    }
  },
);

/** Write a moment; null where `at` is absent. */
export const moment = (at, exact = false) => (at === null || at === undefined ? null : h("vc-time", { at, exact }));
