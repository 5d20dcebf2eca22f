// <meeting-door>: the page of an invitation. It holds the state; everything that it shows follows from it.
//
// The code is in the fragment of the URL. The history's state stores whether the visitor is in the meeting, so that a
// reload comes back into the meeting and going back leaves it.

import "./camera-preview.js";
import "./host-panel.js";
import { Door, Host, Refused, hasRoom, now } from "./api.js";
import { Devices } from "./devices.js";
import { make, nameElement, shownName } from "./elements.js";
import { browser, tab } from "./memory.js";
import { texts } from "./texts.js";

const TICKET_MS = 2_000;
const RETRY_MS = 5_000;
const FULL_MS = 5_000;
const NAME = "videoconf-name";
const CODE = /^[A-Za-z0-9_-]{16,128}$/;

class MeetingDoor extends HTMLElement {
  #state = { view: "loading" };
  #devices = new Devices();
  #door = null;
  #frame = null;
  #timer = null;
  #ticker = null;
  #parts = {};

  connectedCallback() {
    this.#build();
    addEventListener("hashchange", () => location.reload());
    addEventListener("popstate", () => this.#frame && this.#room()?.leave());
    addEventListener("online", () => this.#state.retry?.());
    addEventListener("pagehide", () => this.#room()?.leave());
    this.#open();
  }

  // --- what happens -----------------------------------------------------------------------------------------------

  async #open() {
    const code = location.hash.slice(1);
    if (!CODE.test(code)) return this.#stop("incomplete");
    this.#door = new Door(code);
    this.#set({ view: "loading" });
    try {
      const preview = await this.#door.look();
      this.#set({ preview });
      if (preview.status === "ended") return this.#stop("ended");
    } catch (error) {
      return this.#fail(error, () => this.#open());
    }
    const opens = this.#state.preview.opensOn ? new Date(this.#state.preview.opensOn) : null;
    const sends = this.#state.preview.role !== "subscriber";
    this.#set({ view: "door", opens: opens > now() ? opens : null, sends, starting: sends });
    this.#parts.focus().focus();
    const ticket = tab.get(this.#ticketKey);
    if (history.state?.inMeeting) this.#join();
    else if (ticket) this.#wait(ticket);
    if (sends) await this.#devices.start();
    this.#set({ starting: false });
  }

  /** Ask to come in, by the name in the field. */
  async #join() {
    const { preview, view } = this.#state;
    const name = preview?.name ?? this.#parts.name.value.trim();
    if (!name && view === "door") {
      this.#set({ wrongName: true });
      return this.#parts.name.focus();
    }
    browser.set(NAME, preview?.name ? browser.get(NAME) : name);
    this.#set({ view: "door", name, wrongName: false, doing: "joining", retry: null });
    try {
      const { ticket, issued } = await this.#door.join(preview?.name ? undefined : name);
      if (ticket) this.#wait(ticket);
      else await this.#enter(issued);
    } catch (error) {
      this.#fail(error, () => this.#join());
    }
  }

  /** Wait in the lobby until the host has decided. */
  #wait(ticket) {
    tab.set(this.#ticketKey, ticket);
    this.#set({ doing: "lobby" });
    const ask = async () => {
      try {
        const { ticket: still, issued } = await this.#door.askAgain(ticket);
        if (this.#state.doing !== "lobby") return;
        if (still) return this.#later(ask, TICKET_MS);
        tab.set(this.#ticketKey, null);
        await this.#enter(issued);
      } catch (error) {
        if (this.#state.doing !== "lobby") return;
        if (error.passes) return this.#later(ask, RETRY_MS);
        tab.set(this.#ticketKey, null);
        if (error.status === 404 && error.code !== "invitation_not_found") return this.#join(); // it did not poll in time
        this.#fail(error, () => this.#join());
      }
    };
    this.#later(ask, 0);
  }

  async #enter(issued) {
    const { token, connect, provider } = issued;
    if (token === null && /^https?:/.test(connect?.url ?? "")) return this.#stop("elsewhere", { url: connect.url });
    const src = `join/room/${encodeURIComponent(provider)}`;
    if (!(await hasRoom(src))) return this.#stop("noClient");
    if (!history.state?.inMeeting) history.pushState({ inMeeting: true }, "");
    const frame = make("iframe", {
      src,
      title: texts.room.label,
      allow: "camera; microphone; autoplay; fullscreen",
    });
    this.#frame = frame;
    this.#parts.frame.replaceChildren(frame);
    await new Promise((loaded) => frame.addEventListener("load", loaded, { once: true }));
    if (this.#frame !== frame) return;
    const room = this.#room();
    if (!room) return this.#stop("noClient");
    const control = issued.control && issued.meetingLink ? new Host(issued.meetingLink, issued.control) : null;
    room.addEventListener("finish", ({ detail }) => this.#frame === frame && this.#finish(detail.reason));
    room.addEventListener("people", ({ detail }) => (this.#parts.host.people = detail.people));
    room.addEventListener("panel", () => this.#togglePanel());
    this.#set({ view: "meeting", doing: null, opens: null });
    this.#parts.host.start(control, (waiting) => room.setAttribute("waiting", waiting));
    room.enter({
      token,
      session: issued.sessionId,
      connect,
      name: issued.name ?? this.#state.name,
      devices: this.#devices,
      sends: this.#state.sends,
      isHost: control !== null,
      renew: () => this.#renew(),
    });
    frame.focus();
  }

  /** Get a new token for the same seat, as after a lost connection. */
  async #renew() {
    const { issued } = await this.#door.join();
    if (!issued) throw new Refused(403, { code: "admission_needed" });
    return { token: issued.token, connect: issued.connect };
  }

  async #finish(reason) {
    this.#closeRoom();
    await this.#devices.stop();
    if (["left", "removed", "ended"].includes(reason)) return this.#stop(reason);
    try {
      await this.#door.look();
      this.#stop("lost");
    } catch (error) {
      this.#fail(error, () => this.#rejoin());
    }
  }

  async #rejoin() {
    const { sends } = this.#state;
    this.#set({ view: "door", starting: sends, doing: "joining" });
    if (sends) await this.#devices.start();
    this.#set({ starting: false });
    await this.#join();
  }

  #closeRoom() {
    this.#parts.host.stop();
    this.#parts.frame.replaceChildren();
    this.#frame = null;
    if (history.state?.inMeeting) history.replaceState(null, "");
  }

  /** Show why one is not in the meeting. */
  #fail(error, retry) {
    if (!(error instanceof Refused)) console.error(error);
    const views = {
      meeting_ended: "ended",
      invitation_not_found: "unknown",
      attendee_banned: "banned",
      admission_refused: "refused",
      admission_needed: "lost",
      meeting_full: "full",
      lobby_full: "full",
    };
    if (error.code === "meeting_not_open") {
      const opens = new Date(error.problem.opensOn);
      return this.#set({ view: "door", doing: "early", opens });
    }
    if (views[error.code] === "full") {
      this.#stop("full");
      return this.#later(retry, FULL_MS);
    }
    if (views[error.code]) return this.#stop(views[error.code]);
    if (error.status === 404) return this.#stop("unknown");
    const seconds = error.retrySeconds ?? RETRY_MS / 1000;
    this.#stop("failed", { retry, trouble: error.code === "offline" && !navigator.onLine ? "offline" : "busy", seconds });
    if (error.passes) this.#later(retry, seconds * 1000);
  }

  #stop(page, more = {}) {
    if (this.#frame) this.#closeRoom();
    clearTimeout(this.#timer);
    if (!["full", "failed"].includes(page)) this.#devices.stop(); // from these it goes on by itself
    this.#set({ view: "message", page, doing: null, retry: null, trouble: null, ...more });
    this.#parts.heading?.focus();
  }

  #stopWaiting() {
    clearTimeout(this.#timer);
    tab.set(this.#ticketKey, null);
    this.#set({ doing: null });
    this.#parts.focus().focus();
  }

  #later(work, milliseconds) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(work, milliseconds);
  }

  get #ticketKey() {
    return `videoconf-ticket-${this.#door.code}`;
  }

  #room() {
    return this.#frame?.contentDocument?.querySelector("meeting-room") ?? null;
  }

  #togglePanel(open = this.#parts.host.hidden) {
    this.#parts.host.hidden = !open;
    this.toggleAttribute("panel", open);
    if (open) this.#parts.host.focus();
    else this.#frame?.focus();
  }

  // --- what is shown ----------------------------------------------------------------------------------------------

  #build() {
    const parts = this.#parts;
    parts.title = make("h1", { id: "title" });
    parts.invited = make("p", { class: "quiet invited" });
    parts.preview = make("camera-preview");
    parts.name = make("input", { class: "field", name: "name", autocomplete: "name", maxlength: 255, placeholder: texts.namePlaceholder });
    parts.name.value = browser.get(NAME) ?? "";
    parts.field = make("label", { class: "name" }, make("span", {}, texts.name), parts.name);
    parts.known = make("p", { class: "known" });
    parts.join = make("button", { class: "button primary", type: "submit" });
    parts.stopWaiting = make("button", { class: "button plain", type: "button", onclick: () => this.#stopWaiting() }, texts.stopWaiting);
    parts.hint = make("p", { class: "quiet hint", id: "hint" });
    parts.spoken = make("p", { class: "spoken", role: "status" });
    parts.form = make("form", { novalidate: true, "aria-labelledby": "title" }, parts.field, parts.known, parts.join, parts.stopWaiting, parts.hint);
    parts.form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.#state.doing) this.#join();
    });
    parts.door = make("main", { class: "door" }, make("header", {}, parts.title, parts.invited), parts.preview, parts.form);
    parts.loading = make("main", { class: "door loading", "aria-busy": "true" }, make("h1", { class: "spoken" }, texts.meeting), ...["title", "picture", "field", "field"].map((shape) => make("div", { class: `skeleton ${shape}` })));
    parts.message = make("main", { class: "message" });
    parts.heard = make("h1", { class: "spoken" });
    parts.frame = make("div", { class: "frame" });
    parts.stage = make("main", { class: "stage" }, parts.heard, parts.frame);
    parts.host = make("host-panel", { hidden: true });
    parts.host.addEventListener("close", () => this.#togglePanel(false));
    parts.focus = () => (parts.field.hidden || parts.name.value ? parts.join : parts.name);
    this.append(parts.loading, parts.door, parts.message, parts.stage, parts.host, parts.spoken);
    parts.preview.devices = this.#devices;
    this.#show();
  }

  #set(changed) {
    this.#state = { ...this.#state, ...changed };
    this.#show();
  }

  #show() {
    const { view, preview, starting } = this.#state;
    const parts = this.#parts;
    parts.loading.hidden = view !== "loading";
    parts.door.hidden = view !== "door";
    parts.message.hidden = view !== "message";
    parts.stage.hidden = view !== "meeting";
    if (view !== "meeting") parts.host.hidden = true;
    this.toggleAttribute("panel", view === "meeting" && !parts.host.hidden);
    const title = shownName(preview?.title, texts.meeting);
    document.title = title;
    parts.heard.textContent = title;
    if (view === "door") {
      parts.title.replaceChildren(nameElement(preview?.title, texts.meeting));
      this.#sentence(parts.invited, texts.invitedBy, preview?.invitedBy);
      this.#sentence(parts.known, texts.joiningAs, preview?.name);
      parts.field.hidden = Boolean(preview?.name);
      parts.preview.hidden = !this.#state.sends;
      parts.preview.starting = Boolean(starting);
      this.#showDoing();
    }
    if (view === "message") this.#showMessage();
    clearInterval(this.#ticker);
    if (view === "door" && this.#state.opens) this.#ticker = setInterval(() => this.#tick(), 1_000);
  }

  #sentence(element, words, name) {
    element.hidden = !name;
    if (!name) return element.replaceChildren();
    const [before, known, after] = words(name);
    element.replaceChildren(before, nameElement(known, texts.unnamed), after);
  }

  #showDoing() {
    const { doing, opens, wrongName, preview } = this.#state;
    const parts = this.#parts;
    const left = opens - now();
    parts.join.textContent = { joining: texts.joining, lobby: texts.waiting, early: texts.waiting }[doing] ?? (opens ? texts.waitHere : texts.join);
    parts.join.setAttribute("aria-disabled", String(Boolean(doing)));
    parts.name.readOnly = Boolean(doing);
    parts.name.setAttribute("aria-invalid", String(Boolean(wrongName)));
    parts.name.setAttribute("aria-describedby", "hint");
    parts.stopWaiting.hidden = !["lobby", "early"].includes(doing);
    let hint = preview?.role === "moderator" ? texts.hint.host : preview?.role === "subscriber" ? texts.hint.viewer : texts.hint[preview?.admission === "ask" ? "ask" : "open"];
    if (opens) hint = doing === "early" ? texts.hint.earlyWaiting(opens, left) : texts.hint.early(opens, left);
    if (doing === "lobby") hint = texts.hint.lobby;
    if (doing === "joining") hint = texts.hint.joining;
    if (wrongName) hint = texts.hint.name;
    parts.hint.textContent = hint;
    parts.hint.classList.toggle("wrong", Boolean(wrongName));
    const spoken = opens && !wrongName ? `${doing}` : hint; // a countdown is read once, and not every second
    if (parts.spoken.dataset.of !== spoken) {
      parts.spoken.dataset.of = spoken;
      parts.spoken.textContent = hint;
    }
  }

  #tick() {
    const { opens, doing } = this.#state;
    if (opens > now()) return this.#showDoing();
    this.#set({ opens: null, doing: null });
    if (doing === "early") this.#join();
  }

  #showMessage() {
    const { page, url, retry, trouble, seconds } = this.#state;
    const parts = this.#parts;
    const [heading, text] = texts.page[page];
    parts.heading = make("h1", { tabindex: "-1" }, heading);
    const again = { left: texts.again, lost: texts.again, refused: texts.askAgain, removed: texts.again }[page];
    const shown = [
      make("p", { class: "quiet of" }, nameElement(this.#state.preview?.title, texts.meeting)),
      parts.heading,
      make("p", { class: "quiet" }, text),
      trouble ? make("p", { class: "quiet", role: "status" }, trouble === "offline" ? texts.hint.offline : texts.hint.busy(seconds)) : null,
      again ? make("button", { class: "button primary", type: "button", onclick: () => this.#rejoin() }, again) : null,
      retry ? make("button", { class: "button primary", type: "button", onclick: () => retry() }, texts.retry) : null,
      url ? make("a", { class: "button primary", href: url, rel: "noreferrer" }, texts.openElsewhere) : null,
    ];
    parts.message.replaceChildren(...shown.filter(Boolean));
  }
}

customElements.define("meeting-door", MeetingDoor);
