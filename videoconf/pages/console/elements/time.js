// <vc-time at="2026-03-01T14:05:00Z">: "today 14:05" in the viewer's zone, UTC in full on hover.

import { exactly, inUtc, when } from "../format.js";
import { h, put } from "../dom.js";
import { words } from "../words.js";
import { Part } from "./part.js";

customElements.define(
  "vc-time",
  class extends Part {
    show() {
      const at = this.getAttribute("at");
      if (at === null) {
        put(this, h("span", { class: "quiet" }, words.nothing));
        return;
      }
      const date = new Date(at);
      const written = this.hasAttribute("exact") ? exactly(date) : when(date);
      put(this, h("time", { datetime: at, title: inUtc(date) }, written));
    }
  },
);

/** Write a moment that may be missing. */
export const moment = (at, exact = false) => h("vc-time", { at, exact });
