// The camera and the microphone of this device. The page owns them: the preview and the room use the same tracks, so that
// a browser asks once, and a light that is on means that a picture is taken.

import { tab } from "./memory.js";

const KINDS = ["camera", "microphone"];
const OFF = "videoconf-off";
const VIDEO = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const TROUBLES = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "missing",
  OverconstrainedError: "missing",
  NotReadableError: "busy",
  AbortError: "busy",
};

/** Dispatches `change` whenever a track, a trouble or the list of devices is another. */
export class Devices extends EventTarget {
  tracks = { camera: null, microphone: null };
  troubles = { camera: null, microphone: null }; // "denied", "missing", "busy" or null
  lists = { camera: [], microphone: [] };
  chosen = { camera: null, microphone: null }; // ids of devices
  #asking = Promise.resolve();

  constructor() {
    super();
    navigator.mediaDevices?.addEventListener("devicechange", () => this.#list());
  }

  /** Switch both on, with one question where the browser asks; what the person switched off in this tab stays off. */
  start() {
    return this.#inTurn(async () => {
      const off = this.#off();
      const kinds = KINDS.filter((kind) => !off.has(kind) && !this.tracks[kind]);
      if (kinds.length && !(await this.#take(kinds)) && kinds.length > 1) {
        for (const kind of kinds) await this.#take([kind]);
      }
    });
  }

  #off() {
    return new Set((tab.get(OFF) ?? "").split(","));
  }

  /** Switch the camera or the microphone on or off. */
  toggle(kind, on = !this.isOn(kind)) {
    return this.#inTurn(async () => {
      const off = this.#off();
      if (on) off.delete(kind);
      else off.add(kind);
      tab.set(OFF, [...off].join());
      if (on && !this.tracks[kind]) await this.#take([kind]);
      else if (!on) this.#drop(kind);
    });
  }

  /** Use another device. */
  choose(kind, id) {
    return this.#inTurn(async () => {
      this.chosen[kind] = id;
      if (this.isOn(kind)) await this.#take([kind]);
    });
  }

  isOn(kind) {
    return this.tracks[kind] !== null;
  }

  /** Switch everything off. */
  stop() {
    return this.#inTurn(async () => {
      for (const kind of KINDS) this.#drop(kind);
    });
  }

  /** One question after the other: two at once would leave a track without an owner. */
  #inTurn(work) {
    this.#asking = this.#asking.then(work, work).finally(() => this.dispatchEvent(new Event("change")));
    return this.#asking;
  }

  async #take(kinds) {
    const constraints = {
      ...(kinds.includes("camera") && { video: wanted(VIDEO, this.chosen.camera) }),
      ...(kinds.includes("microphone") && { audio: wanted(AUDIO, this.chosen.microphone) }),
    };
    let stream;
    try {
      if (!navigator.mediaDevices) throw new DOMException("", "NotFoundError"); // not a secure context
      stream = await navigator.mediaDevices.getUserMedia(constraints);
    } catch (error) {
      for (const kind of kinds) {
        this.#drop(kind);
        this.troubles[kind] = TROUBLES[error.name] ?? "busy";
      }
      return false;
    }
    for (const track of stream.getTracks()) {
      const kind = track.kind === "video" ? "camera" : "microphone";
      this.#drop(kind);
      this.tracks[kind] = track;
      this.troubles[kind] = null;
      track.addEventListener("ended", () => this.#lost(kind, track)); // unplugged, or the permission was taken back
    }
    await this.#list();
    return true;
  }

  #drop(kind) {
    this.tracks[kind]?.stop();
    this.tracks[kind] = null;
  }

  #lost(kind, track) {
    if (this.tracks[kind] !== track) return;
    this.#drop(kind);
    this.troubles[kind] = "missing";
    this.dispatchEvent(new Event("change"));
  }

  async #list() {
    const found = await navigator.mediaDevices.enumerateDevices();
    for (const [kind, name] of [["camera", "videoinput"], ["microphone", "audioinput"]]) {
      this.lists[kind] = found.filter((one) => one.kind === name && one.deviceId);
      this.chosen[kind] = this.tracks[kind]?.getSettings().deviceId ?? this.chosen[kind];
    }
    this.dispatchEvent(new Event("change"));
  }
}

function wanted(constraints, id) {
  return id ? { ...constraints, deviceId: { exact: id } } : constraints;
}
