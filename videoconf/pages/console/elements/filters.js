// <vc-filters>: filters as chips, which are also in the URL. `filters`: [{name, label, kind, options, group}].
// At most one filter of a group is set: setting it removes the others.

import { h, icon, put } from "../dom.js";
import { cut, day } from "../format.js";
import { refine } from "../route.js";
import { words } from "../words.js";
import { Part } from "./part.js";

const MOST = 24;

customElements.define(
  "vc-filters",
  class extends Part {
    show(signal) {
      this.setAttribute("role", "group");
      this.setAttribute("aria-label", words.filters.label);
      put(this, this.filters.map((filter) => this.chip(filter)));
      document.addEventListener("click", (event) => this.closeOthers(event.target), { signal });
      this.addEventListener("keydown", (event) => {
        const open = event.key === "Escape" && event.target.closest("details[open]");
        if (open) {
          open.open = false;
          open.querySelector("summary").focus();
        }
      });
    }

    closeOthers(target) {
      for (const one of this.querySelectorAll("details[open]")) if (!one.contains(target)) one.open = false;
    }

    chip(filter) {
      const value = this.written(filter);
      const summary = h("summary", { class: "chip" }, value === null ? filter.label : [h("span", { class: "quiet" }, `${filter.label}:`), h("bdi", {}, value)], icon("down"));
      const details = h("details", { class: value === null || filter.kind === "sort" ? "" : "set" }, summary, this.panel(filter));
      if (value === null || filter.kind === "sort") return details;
      const clear = h(
        "button",
        { class: "clear", type: "button", "aria-label": words.filters.clear(filter.label), onclick: () => this.apply(filter, null) },
        icon("close"),
      );
      return h("span", { class: "with-clear" }, details, clear);
    }

    written(filter) {
      if (filter.kind === "range") {
        const [from, to] = filter.names.map((name) => this.query.get(name));
        if (from === null && to === null) return null;
        const last = to === null ? "…" : day(new Date(new Date(to) - 1));
        return `${from === null ? "…" : day(new Date(from))} – ${last}`;
      }
      const value = this.query.get(filter.name) ?? (filter.kind === "sort" ? filter.initial : null);
      if (value === null) return null;
      return filter.options ? (filter.options[value] ?? value) : cut(value, MOST);
    }

    panel(filter) {
      if (filter.kind === "range") return this.rangePanel(filter);
      if (filter.options) {
        const chosen = this.query.get(filter.name) ?? filter.initial ?? null;
        return h(
          "div",
          { class: "panel" },
          Object.entries(filter.options).map(([value, label]) =>
            h(
              "button",
              { type: "button", class: "choice", "aria-pressed": String(value === chosen), onclick: () => this.apply(filter, value === filter.initial ? null : value) },
              label,
            ),
          ),
        );
      }
      const input = h("input", { class: "field", "aria-label": filter.label, maxlength: 1000, value: this.query.get(filter.name) ?? "", autocomplete: "off" });
      return this.form([input], () => this.apply(filter, input.value.trim() || null));
    }

    rangePanel(filter) {
      const [from, to] = filter.names.map((name) => this.query.get(name));
      const inputs = [asDay(from, 0), asDay(to, -1)].map((value) => h("input", { type: "date", class: "field", value, max: "9998-12-31" }));
      const labels = [words.filters.from, words.filters.to].map((label, place) => h("label", {}, label, inputs[place]));
      return this.form(labels, () => {
        const [first, last] = inputs.map((input) => input.value);
        this.change({ [filter.names[0]]: midnight(first, 0), [filter.names[1]]: midnight(last, 1), ...filter.with });
      });
    }

    form(fields, submit) {
      const button = h("button", { class: "button primary", type: "submit" }, words.filters.apply);
      const onsubmit = (event) => {
        event.preventDefault();
        submit();
      };
      return h("form", { class: "panel", onsubmit }, fields, button);
    }

    apply(filter, value) {
      const others = filter.group ? this.filters.filter((one) => one.group === filter.group && one !== filter) : [];
      const cleared = Object.fromEntries(others.map((one) => [one.name, null]));
      const range = filter.kind === "range" ? Object.fromEntries(filter.names.map((name) => [name, null])) : { [filter.name]: value };
      this.change({ ...(value === null ? {} : cleared), ...range, ...(value === null ? {} : filter.with), ...(filter.clears?.(value) ?? {}) });
    }

    change(changes) {
      refine(changes);
    }
  },
);

/** Write the day of a moment as a date field takes it; an end is the day before. */
function asDay(at, days) {
  if (at === null || Number.isNaN(Date.parse(at))) return "";
  const date = new Date(at);
  date.setDate(date.getDate() + days);
  return [date.getFullYear(), String(date.getMonth() + 1).padStart(2, "0"), String(date.getDate()).padStart(2, "0")].join("-");
}

/** Return the moment at which a day begins in the viewer's zone, or ends. */
function midnight(value, days) {
  if (value === "") return null;
  const [year, month, date] = value.split("-").map(Number);
  return new Date(year, month - 1, date + days).toISOString();
}

export const filters = (all, query) => h("vc-filters", { filters: all, query });
