// <vc-length from="…" to="…">: the time between, which grows until there is an end.

import { length } from "../format.js";
import { words } from "../words.js";
import { Part, every } from "./part.js";

customElements.define(
  "vc-length",
  class extends Part {
    show(signal) {
      const [from, to] = [this.getAttribute("from"), this.getAttribute("to")];
      if (from === null) {
        this.textContent = words.nothing;
        return;
      }
      const write = () => {
        this.textContent = length(((to === null ? Date.now() : new Date(to)) - new Date(from)) / 1000);
      };
      write();
      if (to === null) every(10, signal, write);
    }
  },
);
