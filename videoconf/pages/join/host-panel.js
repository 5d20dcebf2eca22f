// <host-panel>: who waits in the lobby and who is in the meeting, with what a moderator may do about them.
//
// Without a control it lists who is there, for everyone. It asks for the lobby by itself and dispatches `close`.

import { Refused } from "./api.js";
import { iconButton, make, nameElement, shownName } from "./elements.js";
import { texts } from "./texts.js";

const LOBBY_MS = 2_000;
const SURE_MS = 4_000;
const words = texts.host;

class HostPanel extends HTMLElement {
  #host = null;
  #timer = null;
  #waiting = [];
  #people = [];
  #onWaiting = () => {};
  #decided = new Set(); // lobby ids whose decision is on its way
  #lobby = make("section", { "aria-labelledby": "lobby-title" });
  #here = make("section", { "aria-labelledby": "here-title" });
  #said = make("p", { class: "said small", role: "status" });
  #end = null;

  connectedCallback() {
    if (this.childElementCount) return;
    this.setAttribute("role", "complementary");
    this.setAttribute("aria-label", words.title);
    const close = iconButton("close", words.close, { onclick: () => this.#close() });
    this.#end = this.#sure(words.end, words.endSure, () => this.#host.end(), () => {});
    this.append(make("div", { class: "head" }, make("h2", {}, words.title), close), make("div", { class: "lists" }, this.#lobby, this.#here), this.#said, this.#end);
    this.addEventListener("keydown", ({ key }) => key === "Escape" && this.#close());
  }

  /** Begin. `onWaiting` is called with the number of those who wait. */
  start(host, onWaiting) {
    this.#host = host;
    this.#onWaiting = onWaiting;
    this.#waiting = [];
    this.#said.textContent = "";
    this.#show();
    if (host) this.#poll();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#host = null;
    this.#people = [];
  }

  set people(people) {
    this.#people = people;
    this.#show();
  }

  focus() {
    this.querySelector("button").focus();
  }

  #close() {
    this.dispatchEvent(new Event("close"));
  }

  async #poll() {
    const host = this.#host;
    try {
      const waiting = (await host.lobby()).filter(({ id }) => !this.#decided.has(id));
      if (this.#host !== host) return;
      const known = new Set(this.#waiting.map(({ id }) => id));
      for (const { id, name } of waiting) if (!known.has(id)) this.#said.textContent = words.arrived(shownName(name, texts.unnamed));
      const changed = waiting.length !== known.size || waiting.some(({ id }) => !known.has(id));
      this.#waiting = waiting;
      if (changed) this.#show();
      this.#onWaiting(waiting.length);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (!error.passes) return; // the meeting has ended, or the control has
    }
    if (this.#host === host) this.#timer = setTimeout(() => this.#poll(), LOBBY_MS);
  }

  #show() {
    this.#end.hidden = !this.#host;
    this.#lobby.hidden = !this.#host;
    const count = this.#waiting.length;
    fill(this.#lobby, "lobby-title", count ? words.waiting(count) : words.emptyLobby, this.#waiting, (one) => [
      make("span", { class: "who" }, nameElement(one.name, texts.unnamed), make("span", { class: "quiet small" }, words.since(new Date(one.waitingSince)))),
      make("button", { type: "button", class: "button primary", onclick: () => this.#decide(one, true) }, words.admit),
      make("button", { type: "button", class: "button", onclick: () => this.#decide(one, false) }, words.refuse),
    ]);
    fill(this.#here, "here-title", words.here(this.#people.length), this.#people, (one) => [
      make("span", { class: "who" }, nameElement(one.name, texts.unnamed), one.own ? make("span", { class: "quiet small" }, texts.you) : null),
      ...(this.#host && !one.own ? this.#measures(one) : []),
    ]);
  }

  #measures(one) {
    const name = shownName(one.name, texts.unnamed);
    const mute = make("button", { type: "button", class: "button plain", disabled: one.microphone === false }, words.mute);
    mute.addEventListener("click", () => this.#do(mute, () => this.#host.mute(one.id), words.muted(name)));
    return [mute, this.#sure(words.remove, words.removeSure, () => this.#host.remove(one.id), () => (this.#said.textContent = words.removed(name)))];
  }

  async #decide(one, admit) {
    const name = shownName(one.name, texts.unnamed);
    this.#decided.add(one.id);
    try {
      await this.#host.decide(one.id, admit);
      this.#said.textContent = (admit ? words.admitted : words.refusedOne)(name);
    } catch {
      this.#said.textContent = words.failed;
      this.#decided.delete(one.id);
      return;
    }
    this.#waiting = this.#waiting.filter(({ id }) => id !== one.id);
    this.#onWaiting(this.#waiting.length);
    this.#show();
    (this.#lobby.querySelector("button") ?? this.querySelector(".head button")).focus();
  }

  async #do(button, work, said) {
    button.disabled = true;
    try {
      await work();
      this.#said.textContent = said;
    } catch {
      this.#said.textContent = words.failed;
    }
    button.disabled = false;
  }

  /** Make a button that asks once more before it does something that cannot be taken back. */
  #sure(label, question, work, done) {
    const button = make("button", { type: "button", class: "button danger" }, label);
    let timer = null;
    const rest = () => {
      clearTimeout(timer);
      timer = null;
      button.textContent = label;
    };
    button.addEventListener("click", async () => {
      if (timer === null) {
        button.textContent = question;
        timer = setTimeout(rest, SURE_MS);
        return;
      }
      rest();
      await this.#do(button, async () => (await work(), done()), this.#said.textContent);
    });
    button.addEventListener("blur", rest);
    return button;
  }
}

/** Show a list under a heading. Rows that are there already stay, so that the focus and a question in a button do too. */
function fill(section, id, heading, rows, contents) {
  if (!section.childElementCount) section.append(make("h3", { id }), make("ul"));
  const [title, list] = section.children;
  title.textContent = heading;
  const there = new Map([...list.children].map((row) => [row.dataset.key, row]));
  const wanted = rows.map((row) => {
    const key = JSON.stringify(row);
    const element = there.get(key) ?? make("li", { "data-key": key }, ...contents(row));
    there.delete(key);
    return element;
  });
  for (const gone of there.values()) gone.remove();
  wanted.forEach((element, at) => list.children[at] !== element && list.insertBefore(element, list.children[at] ?? null));
}

customElements.define("host-panel", HostPanel);
