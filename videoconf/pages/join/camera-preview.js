// <camera-preview>: what the own camera shows, two round buttons, and a small menu of devices.

import { icon, make, showSwitch } from "./elements.js";
import { texts } from "./texts.js";

const KINDS = ["microphone", "camera"];

class CameraPreview extends HTMLElement {
  #devices = null;
  #video = make("video", { autoplay: true, muted: true, playsinline: true, "aria-label": texts.preview });
  #off = make("p", { class: "off" });
  #buttons = {};
  #selects = {};
  #trouble = make("p", { class: "trouble", role: "status", hidden: true });

  connectedCallback() {
    if (this.childElementCount) return;
    this.#video.muted = true; // the attribute alone does not mute an element that a script made
    for (const kind of KINDS) {
      this.#buttons[kind] = make("button", { type: "button", class: "round", onclick: () => this.#devices?.toggle(kind) });
      showSwitch(this.#buttons[kind], kind, false, texts[kind].off);
    }
    this.append(
      make("div", { class: "picture" }, this.#video, this.#off, make("div", { class: "switches" }, ...KINDS.map((kind) => this.#buttons[kind]), this.#menu())),
      this.#trouble,
    );
  }

  /** Show these devices. */
  set devices(devices) {
    this.#devices = devices;
    devices.addEventListener("change", () => this.#show());
    this.#show();
  }

  /** Whether the page still waits for the browser's answer. */
  set starting(starting) {
    this.toggleAttribute("starting", starting);
    this.#show();
  }

  #menu() {
    const lists = ["camera", "microphone"].map((kind) => {
      this.#selects[kind] = make("select", { class: "field", "aria-label": texts[kind].name, onchange: ({ target }) => this.#devices.choose(kind, target.value) });
      return make("label", {}, make("span", {}, texts[kind].name), this.#selects[kind]);
    });
    const menu = make("details", { class: "devices" }, make("summary", { class: "round", "aria-label": texts.devices, title: texts.devices }, icon("settings")), make("div", { class: "list" }, ...lists));
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !menu.open) return;
      menu.open = false;
      menu.firstElementChild.focus();
    });
    document.addEventListener("pointerdown", ({ target }) => {
      if (!menu.contains(target)) menu.open = false;
    });
    return menu;
  }

  #show() {
    const { tracks, troubles, lists, chosen } = this.#devices;
    for (const kind of KINDS) {
      showSwitch(this.#buttons[kind], kind, tracks[kind] !== null, texts[kind][tracks[kind] ? "on" : "off"]);
      const options = lists[kind].map(({ deviceId, label }, at) => {
        return make("option", { value: deviceId, selected: deviceId === chosen[kind] }, label || texts.device(at + 1));
      });
      this.#selects[kind].replaceChildren(...options);
      this.#selects[kind].disabled = !options.length;
    }
    if (this.#video.srcObject?.getVideoTracks()[0] !== (tracks.camera ?? undefined)) {
      this.#video.srcObject = tracks.camera ? new MediaStream([tracks.camera]) : null;
    }
    const starting = this.hasAttribute("starting");
    this.#video.hidden = !tracks.camera;
    this.#off.hidden = Boolean(tracks.camera);
    this.#off.textContent = starting ? texts.starting : texts.cameraOff;
    const together = troubles.camera && troubles.camera === troubles.microphone;
    const kind = together ? "both" : KINDS.find((one) => troubles[one]);
    this.#trouble.textContent = kind ? texts.trouble[kind][troubles[together ? "camera" : kind]] : "";
    this.#trouble.hidden = !kind || starting;
  }
}

customElements.define("camera-preview", CameraPreview);
