// <vc-shell>: the rail with the sections, the bar with search and token, and the place of the view.

import { h, icon, present, put } from "../dom.js";
import { exactly, length } from "../format.js";
import { go, href } from "../route.js";
import { session } from "../session.js";
import { words } from "../words.js";
import { named } from "./name.js";
import { Part, every } from "./part.js";

const SECTIONS = {
  meetings: ["GetMeetings"],
  archives: ["GetMeetingArchives"],
  events: ["GetEvents", "ManageEventSubscriptions"],
  webhooks: ["GetWebhookEvents"],
  providers: ["GetProviders"],
  jobs: ["ManageOperations"],
  audit: ["GetAuditEntries"],
};
const IN_BAR = 4; // on a phone; the others are behind "More"

customElements.define(
  "vc-shell",
  class extends Part {
    show(signal) {
      this.main = h("main", { id: "content", tabindex: "-1" });
      const skip = h("a", { class: "button skip", href: "#content" }, words.skip);
      skip.addEventListener("click", (event) => {
        event.preventDefault(); // the fragment names the view
        this.main.focus();
      });
      put(this, skip, this.rail(), h("div", { class: "side" }, this.bar(signal), this.main));
      document.addEventListener("click", (event) => this.closeMenus(event.target), { signal });
      document.addEventListener("keydown", (event) => this.onKey(event), { signal });
    }

    /** Show a view under its title. */
    content(title, ...content) {
      document.title = title ? `${title} · ${words.product}` : words.product;
      const isElsewhere = this.shownAt !== undefined && this.shownAt !== location.hash.split("?")[0];
      this.shownAt = location.hash.split("?")[0];
      put(this.main, ...present(content));
      if (isElsewhere) {
        this.main.focus({ preventScroll: true });
        scrollTo(0, 0);
      }
    }

    set isBusy(value) {
      this.main.setAttribute("aria-busy", String(value));
    }

    /** Mark the section that is shown. */
    mark({ view }) {
      for (const link of this.querySelectorAll("nav a")) {
        if (link.dataset.view === view) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
      }
      this.closeMenus(null);
    }

    rail() {
      const allowed = Object.keys(SECTIONS).filter((name) => SECTIONS[name].some((one) => session.can(one)));
      const link = (name) => h("a", { href: href(name), "data-view": name }, icon(name), h("span", {}, words.pages[name]));
      const hidden = allowed.length > IN_BAR + 1 ? allowed.slice(IN_BAR) : [];
      return h(
        "nav",
        { class: "rail", "aria-label": words.sections },
        h("span", { class: "brand" }, mark(), words.product),
        allowed.map((name) => h("div", { class: hidden.includes(name) ? "wide" : "" }, link(name))),
        hidden.length > 0 && h("details", { class: "narrow menu" }, h("summary", {}, icon("more"), h("span", {}, words.more)), h("div", { class: "panel" }, hidden.map(link))),
      );
    }

    bar(signal) {
      return h("header", { class: "topbar" }, this.search(), this.who(signal));
    }

    search() {
      const input = h("input", {
        type: "search",
        class: "field",
        placeholder: words.search.placeholder,
        "aria-label": words.search.label,
        autocomplete: "off",
        spellcheck: "false",
        maxlength: 1000,
      });
      const found = h("div", { class: "panel results", hidden: true, role: "group", "aria-label": words.search.results });
      const offer = () => {
        const text = input.value.trim();
        const ways = text === "" ? [] : waysOf(text);
        put(found, ways.map(([label, to, shown]) => h("a", { class: "choice", href: to }, h("span", { class: "quiet" }, label), named(shown, 28))));
        found.hidden = ways.length === 0;
      };
      input.addEventListener("input", offer);
      const form = h("form", { class: "search", role: "search" }, icon("search"), input, h("kbd", { "aria-hidden": "true" }, "/"), found);
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        const [first] = found.querySelectorAll("a");
        if (first) go(first.getAttribute("href"));
      });
      form.addEventListener("focusout", (event) => !form.contains(event.relatedTarget) && (found.hidden = true));
      form.addEventListener("focusin", (event) => event.target === input && offer());
      form.addEventListener("click", (event) => event.target.closest("a") && this.clearSearch(input, found));
      form.addEventListener("keydown", (event) => {
        const all = [input, ...found.querySelectorAll("a")];
        const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (step && !found.hidden) {
          event.preventDefault();
          all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus();
        }
      });
      addEventListener("hashchange", () => this.clearSearch(input, found), { signal: this.leaving.signal });
      this.searching = input;
      return form;
    }

    clearSearch(input, found) {
      input.value = "";
      found.hidden = true;
      if (document.activeElement === input) input.blur();
    }

    who(signal) {
      const left = h("span", { class: "quiet" });
      const write = () => {
        const expires = session.expires;
        left.textContent = expires === null ? "" : expires < new Date() ? words.who.expired : words.who.validFor(length((expires - Date.now()) / 1000));
      };
      write();
      every(20, signal, write);
      const expires = session.expires;
      const forget = h("button", { class: "button", type: "button", onclick: () => session.leave() }, words.who.forget);
      return h(
        "details",
        { class: "who menu" },
        h("summary", {}, h("span", { class: "spoken" }, words.who.button), h("span", { class: "tenant" }, named(String(session.tenant), 18)), h("span", { class: "subject" }, named(session.subject, 18)), left, icon("down")),
        h(
          "div",
          { class: "panel" },
          h(
            "dl",
            {},
            h("dt", {}, words.who.tenant), h("dd", {}, named(String(session.tenant), 30)),
            h("dt", {}, words.who.subject), h("dd", {}, named(session.subject, 30)),
            expires && [h("dt", {}, words.who.expires), h("dd", {}, exactly(expires))],
          ),
          h("h3", {}, session.permissions.length > 0 ? words.who.permissions(session.permissions.length) : words.who.none),
          h("ul", { class: "permissions" }, session.permissions.map((one) => h("li", {}, one))),
          session.isOpen ? h("p", { class: "quiet small" }, words.who.open) : forget,
        ),
      );
    }

    closeMenus(target) {
      for (const one of this.querySelectorAll("details.menu[open]")) if (target === null || !one.contains(target)) one.open = false;
    }

    onKey(event) {
      const isTyping = event.target.closest?.("input, textarea, select, dialog");
      if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        this.searching.focus();
      }
      if (event.key === "Escape") {
        const open = this.querySelector("details.menu[open]");
        if (open) {
          open.open = false;
          open.querySelector("summary").focus();
        } else if (event.target === this.searching) this.searching.blur();
      }
    }
  },
);

const LINK = /^[\w-]{16,64}$/;

/** Say what a search may mean: a meeting's link, the caller's own id of meetings, a person. */
function waysOf(text) {
  const ways = [];
  if (session.can("GetMeetings")) {
    const link = text.match(/[\w-]{16,64}$/)?.[0];
    if (link && (LINK.test(text) || text.includes("/"))) ways.push([words.search.meeting, href("meetings", link), link]);
    ways.push([words.search.extId, href("meetings", [], { extId: text.slice(0, 255) }), text]);
  }
  if (session.can("GetMeetingAttendees") || session.can("ManagePersons")) ways.push([words.search.person, href("persons", text), text]);
  return ways;
}

const mark = () => h("span", { class: "mark", "aria-hidden": "true" });

