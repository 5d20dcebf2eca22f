// <meeting-room>: the meeting itself, in a frame of its own. It knows the provider by the contract of browser clients alone;
// docs/how-to/browser-client.md describes it. The page around it calls `enter` and `leave`, and listens to `finish`
// (`reason`), `people` and `panel`.

import { iconButton, make, showSwitch, shownName } from "./elements.js";
import { PersonTile } from "./person-tile.js";
import { texts } from "./texts.js";

const IDLE_MS = 3_000;
const NOTICE_MS = 6_000;
const LEAVE_MS = 1_000;
const PER_PAGE = 9;
const MOST_COLUMNS = 3;
const GAP = 8;
const words = texts.room;

class MeetingRoom extends HTMLElement {
  #people = new Map(); // id: { person, tile }
  #client = null;
  #devices = null;
  #isOver = false;
  #page = 0;
  #idle = null;
  #notices = null;
  #grid = make("div", { class: "grid", role: "list", "aria-label": words.people });
  #status = make("p", { class: "notice", role: "status", hidden: true });
  #spoken = make("p", { class: "spoken", role: "log" });
  #alone = make("div", { class: "alone", hidden: true }, make("p", {}, words.alone), make("p", { class: "small" }, words.aloneHint));
  #pager = make("div", { class: "pager", hidden: true });
  #bar = make("div", { class: "bar", role: "group", "aria-label": words.controls });
  #switches = {};
  #badge = make("span", { class: "badge", hidden: true });

  connectedCallback() {
    this.#build();
    new ResizeObserver(() => this.#layOut()).observe(this.#grid);
    for (const type of ["pointermove", "pointerdown", "keydown", "focusin"]) addEventListener(type, () => this.#wake());
  }

  static observedAttributes = ["waiting"];

  attributeChangedCallback(_name, _before, waiting) {
    this.#badge.textContent = waiting;
    this.#badge.hidden = !(Number(waiting) > 0);
    if (Number(waiting) > 0) this.#wake();
  }

  /** Take part with a token. Reports the end by `finish`, a failure included. */
  async enter({ token, session, connect, name, devices, sends, isHost, renew }) {
    this.#devices = devices;
    for (const button of Object.values(this.#switches)) button.hidden = !sends;
    this.toggleAttribute("host", isHost);
    devices.addEventListener("change", () => this.#showDevices());
    this.#showDevices();
    const on = (event, detail = {}) => this.#isOver || this.#follow(event, detail);
    const media = { camera: devices.tracks.camera, microphone: devices.tracks.microphone };
    const options = JSON.parse(this.getAttribute("options"));
    try {
      const { join } = await import(`${location.pathname}/client.js`);
      const client = await join({ token, session, connect, name, media, on, renew, options });
      if (this.#isOver) return client.leave();
      this.#client = client;
      this.#sent = media;
      this.#showDevices(); // they may have changed meanwhile
    } catch (error) {
      console.error(error);
      this.#finish("failed");
    }
  }

  /** Leave, and say so by `finish`. */
  leave() {
    this.#finish("left");
  }

  // --- what the client reports ------------------------------------------------------------------------------------

  #follow(event, detail) {
    if (event === "joined") this.#joined(detail);
    else if (event === "left") this.#left(detail.id);
    else if (event === "track") this.#people.get(detail.id)?.tile.play(detail.kind, detail.track);
    else if (event === "state") this.#changed(detail);
    else if (event === "ended") this.#finish(detail.reason);
  }

  #joined({ id, name, own = false, camera, microphone }) {
    // After a lost connection one has another id.
    if (own) for (const { person } of [...this.#people.values()]) if (person.own && person.id !== id) this.#left(person.id);
    const known = this.#people.get(id);
    const person = { ...known?.person, id, name, own, camera, microphone };
    const tile = known?.tile ?? new PersonTile();
    this.#people.set(id, { person, tile });
    if (!known) {
      this.#grid.append(tile);
      if (!own) this.#say(words.joined(shownName(name, texts.unnamed)));
    }
    if (own) this.#showDevices();
    tile.person = person;
    this.#layOut();
    this.#tellPeople();
  }

  #left(id) {
    const gone = this.#people.get(id);
    if (!gone) return;
    this.#people.delete(id);
    gone.tile.remove();
    if (!gone.person.own) this.#say(words.left(shownName(gone.person.name, texts.unnamed)));
    this.#layOut();
    this.#tellPeople();
  }

  #changed({ id, connection, ...changed }) {
    if (connection) {
      this.toggleAttribute("reconnecting", connection === "reconnecting");
      this.#notice(connection === "reconnecting" ? words.reconnecting : "", true);
    }
    const known = this.#people.get(id);
    if (!known) return;
    for (const kind of ["microphone", "camera"]) {
      if (!known.person.own || changed[kind] !== false || !this.#devices.isOn(kind)) continue;
      this.#devices.toggle(kind, false); // muted at the provider: the page shows it, and the next click unmutes
      this.#notice(words.mutedByHost);
    }
    Object.assign(known.person, changed);
    known.tile.person = { ...known.person };
    this.#tellPeople();
  }

  /** Leave, and only then report the end: what a client still sends is lost with the frame. */
  async #finish(reason) {
    if (this.#isOver) return;
    this.#isOver = true;
    const tooLate = new Promise((resolve) => setTimeout(resolve, LEAVE_MS));
    await Promise.race([this.#client?.leave(), tooLate]).catch((error) => console.error(error));
    this.#emit("finish", { reason });
  }

  #tellPeople() {
    const people = [...this.#people.values()].map(({ person: { id, name, own, microphone } }) => ({ id, name, own, microphone }));
    this.#emit("people", { people });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  // --- what the person does ---------------------------------------------------------------------------------------

  #build() {
    for (const kind of ["microphone", "camera"]) {
      this.#switches[kind] = make("button", { type: "button", class: "round", onclick: () => this.#devices?.toggle(kind) });
      showSwitch(this.#switches[kind], kind, false, texts[kind].off);
    }
    const people = iconButton("people", words.people, { onclick: () => this.#emit("panel") });
    people.append(this.#badge);
    const leave = iconButton("leave", words.leave, { class: "round leave", onclick: () => this.leave() });
    this.#bar.append(this.#switches.microphone, this.#switches.camera, people, leave);
    const previous = iconButton("previous", words.previous, { onclick: () => this.#turn(-1) });
    const next = iconButton("next", words.next, { onclick: () => this.#turn(1) });
    this.#pager.append(previous, make("span", { class: "small" }), next);
    const view = make("div", { class: "view" }, this.#grid, this.#alone);
    this.append(make("main", { "aria-label": words.label }, make("h1", { class: "spoken" }, words.label), view, this.#status, this.#pager, this.#bar, this.#spoken));
    this.#wake();
  }

  #sent = {};

  #showDevices() {
    const { tracks } = this.#devices;
    const own = [...this.#people.values()].find(({ person }) => person.own);
    for (const kind of ["microphone", "camera"]) {
      showSwitch(this.#switches[kind], kind, tracks[kind] !== null, texts[kind][tracks[kind] ? "on" : "off"]);
      if (own) own.person[kind] = tracks[kind] !== null;
      if (!this.#client || this.#sent[kind] === tracks[kind]) continue;
      this.#sent[kind] = tracks[kind];
      const send = kind === "camera" ? this.#client.setCamera : this.#client.setMicrophone;
      Promise.resolve(send(tracks[kind])).catch((error) => console.error(error));
    }
    if (!own) return;
    own.tile.play("video", tracks.camera);
    own.tile.person = { ...own.person };
    this.#tellPeople();
  }

  /** Show the bar, and hide it when the person has not moved for a while. */
  #wake() {
    this.removeAttribute("idle");
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.toggleAttribute("idle", !this.querySelector(":focus-visible")), IDLE_MS);
  }

  #turn(pages) {
    this.#page += pages;
    this.#layOut();
  }

  // --- what is shown ----------------------------------------------------------------------------------------------

  #say(text) {
    this.#spoken.append(make("span", {}, text));
    while (this.#spoken.childElementCount > 5) this.#spoken.firstElementChild.remove();
  }

  #notice(text, stays = false) {
    clearTimeout(this.#notices);
    this.#status.textContent = text;
    this.#status.hidden = !text;
    if (text && !stays) this.#notices = setTimeout(() => this.#notice(""), NOTICE_MS);
  }

  /** Give each tile the largest size at which all of a page fit, in as many columns as that takes. */
  #layOut() {
    const people = [...this.#people.values()];
    const pages = Math.max(1, Math.ceil(people.length / PER_PAGE));
    this.#page = Math.min(Math.max(this.#page, 0), pages - 1);
    const shown = people.slice(this.#page * PER_PAGE, (this.#page + 1) * PER_PAGE);
    for (const one of people) one.tile.hidden = !shown.includes(one);
    this.#pager.hidden = pages === 1;
    const [previous, label, next] = this.#pager.children;
    label.textContent = words.page(this.#page + 1, pages);
    previous.disabled = this.#page === 0;
    next.disabled = this.#page === pages - 1;
    this.#alone.hidden = !(people.length === 1 && people[0].person.own);

    const { clientWidth: width, clientHeight: height } = this.#grid;
    const fits = (columns) => {
      const rows = Math.ceil(shown.length / columns);
      return Math.min((width - GAP * (columns - 1)) / columns, (((height - GAP * (rows - 1)) / rows) * 16) / 9);
    };
    const columns = Array.from({ length: MOST_COLUMNS }, (_, at) => at + 1);
    const best = columns.reduce((one, other) => (fits(other) > fits(one) + 1 ? other : one));
    this.#grid.style.setProperty("--tile", `${Math.max(0, Math.floor(fits(best)))}px`);
    this.#grid.style.setProperty("--columns", best);
  }
}

customElements.define("meeting-room", MeetingRoom);
