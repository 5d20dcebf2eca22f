// <vc-list>: a list that is read part by part, and its four states. It is refreshed in place: rows that did not change
// stay as they are, so nothing flickers and the focus stays.
//
// `source`: {load(cursor, signal), columns: [{label, cell(item), kind}], key(item), empty, caption, rowClass(item)}.
// It says `read` after each reading, with the rows that it has.

import { empty, failed, loading, refused } from "./state.js";
import { h, present, put } from "../dom.js";
import { when } from "../format.js";
import { words } from "../words.js";
import { Part, every } from "./part.js";

const RETRY_SECONDS = 15;

customElements.define(
  "vc-list",
  class extends Part {
    rows = new Map();
    items = [];
    next = null;
    readOn = null;
    lost = false;
    isReading = false;

    show(signal) {
      put(this, loading());
      this.read();
      addEventListener("online", () => this.lost && this.refresh(), { signal });
      every(RETRY_SECONDS, signal, () => this.lost && this.refresh());
    }

    /** Read the first part again, as far as rows are shown, and change what differs. */
    async refresh() {
      if (this.isReading) {
        this.again = true;
        return;
      }
      await this.read();
    }

    async read(cursor = null) {
      this.isReading = true;
      const { signal } = this.leaving;
      try {
        const found = await this.source.load(cursor, signal);
        if (signal.aborted) return;
        const isRefresh = cursor === null && this.items.length > found.items.length && this.next !== this.first;
        if (cursor === null && !isRefresh) {
          this.items = found.items;
          this.next = this.first = found.next;
        } else if (isRefresh) {
          // Further parts are on the page. The first is new; of the others those stay that it does not have.
          const keys = new Set(found.items.map(this.source.key));
          const last = this.items.findIndex((item) => this.source.key(item) === this.source.key(found.items.at(-1) ?? item));
          this.items = [...found.items, ...this.items.slice(last + 1).filter((item) => !keys.has(this.source.key(item)))];
          this.first = found.next;
        } else {
          const keys = new Set(this.items.map(this.source.key));
          this.items = [...this.items, ...found.items.filter((item) => !keys.has(this.source.key(item)))];
          this.next = found.next;
        }
        this.readOn = new Date();
        this.lost = false;
        this.draw();
        this.announce("read", this.items);
      } catch (problem) {
        if (signal.aborted) return;
        if (problem.status === undefined) throw problem;
        this.lost = problem.status === 0 || problem.status === 429 || problem.status >= 500;
        this.fail(problem);
      } finally {
        this.isReading = false;
        if (this.again && !signal.aborted) {
          this.again = false;
          this.read();
        }
      }
    }

    fail(problem) {
      if (problem.status === 403) put(this, refused(problem.message));
      else if (this.items.length > 0) this.stale();
      else put(this, failed(problem, () => { put(this, loading()); this.read(); }));
    }

    stale() {
      this.note ??= h("p", { class: "stale", role: "status" });
      put(this.note, words.states.stale(when(this.readOn)));
      if (!this.note.isConnected) this.prepend(this.note);
    }

    draw() {
      if (this.items.length === 0) {
        this.rows.clear();
        this.body = null;
        put(this, empty(this.source.empty()));
        return;
      }
      if (!this.body?.isConnected) this.frame();
      this.note?.remove();
      const kept = new Map();
      let before = this.body.firstElementChild;
      for (const item of this.items) {
        const key = String(this.source.key(item));
        const signature = JSON.stringify([item, this.source.further?.(item)]);
        let row = this.rows.get(key);
        if (row === undefined || row.signature !== signature) {
          const drawn = this.row(item, signature);
          if (row !== undefined) {
            if (before === row.element) before = row.element.nextElementSibling;
            row.element.remove();
          }
          row = drawn;
        }
        if (row.element === before) before = before.nextElementSibling;
        else this.body.insertBefore(row.element, before);
        kept.set(key, row);
      }
      for (const [key, row] of this.rows) if (!kept.has(key)) row.element.remove();
      this.rows = kept;
      this.more.hidden = this.next === null;
    }

    frame() {
      const { columns, caption } = this.source;
      this.body = h("tbody", { role: "rowgroup" });
      this.more = h("button", { class: "button more", type: "button", onclick: () => this.read(this.next) }, words.list.more);
      put(
        this,
        h(
          "table",
          { class: "list", role: "table", "aria-label": caption },
          h(
            "thead",
            { role: "rowgroup" },
            h("tr", { role: "row" }, columns.map((column) => h("th", { role: "columnheader", scope: "col", class: column.kind }, column.isQuiet ? h("span", { class: "spoken" }, column.label) : column.label))),
          ),
          this.body,
        ),
        this.more,
      );
    }

    row(item, signature) {
      const cells = this.source.columns.map((column) => {
        const content = present([column.cell(item)]);
        const kind = [column.kind, content.length === 0 && "nothing"].filter(Boolean).join(" ");
        return h("td", { role: "cell", class: kind, "data-label": column.label }, content.length === 0 && !column.isQuiet ? words.nothing : content);
      });
      return { signature, element: h("tr", { role: "row", class: this.source.rowClass?.(item) }, cells) };
    }
  },
);

/** Make a list. */
export const list = (source) => h("vc-list", { source });
