// <vc-name value="…" most="32">: what participants or callers typed. It is text, isolated from what stands around it,
// cut in its middle, and whole on hover.

import { calm, cut, isVisible } from "../format.js";
import { h, put } from "../dom.js";
import { words } from "../words.js";
import { Part } from "./part.js";

const MOST = 40;

customElements.define(
  "vc-name",
  class extends Part {
    static observedAttributes = ["value"];

    attributeChangedCallback() {
      if (this.isConnected) this.show();
    }

    show() {
      const value = this.getAttribute("value") ?? "";
      if (!isVisible(value)) {
        const code = value === "" ? words.name.anonymous : words.name.invisible;
        put(this, h("span", { class: "quiet" }, code));
        return;
      }
      const text = calm(value);
      const shown = cut(text, Number(this.getAttribute("most")) || MOST);
      put(this, h("bdi", { title: shown === text ? null : text.slice(0, 1000) }, shown));
    }
  },
);

export const named = (value, most) => h("vc-name", { value: value ?? "", most });
