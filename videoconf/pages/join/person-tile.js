// <person-tile>: one participant: the picture, or the initials where no picture moves; the name; the microphone's state.

import { icon, initials, make, nameElement } from "./elements.js";
import { texts } from "./texts.js";

const STILL_MS = 2_500;

export class PersonTile extends HTMLElement {
  #video = make("video", { autoplay: true, playsinline: true, muted: true });
  #audio = make("audio", { autoplay: true });
  #avatar = make("span", { class: "avatar", "aria-hidden": "true" });
  #label = make("figcaption");
  #person = {};
  #timer = null;

  connectedCallback() {
    if (this.childElementCount) return;
    this.setAttribute("role", "listitem");
    this.#video.muted = true; // the sound is the audio element's; the own one is not played
    this.append(make("figure", {}, this.#avatar, this.#video, this.#audio, this.#label));
    this.#watch();
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
  }

  /** Show a participant: `{ id, name, own, camera, microphone, speaking, lost }`. */
  set person(person) {
    const before = this.#person;
    this.#person = person;
    this.toggleAttribute("own", Boolean(person.own));
    this.toggleAttribute("speaking", Boolean(person.speaking) && person.microphone !== false);
    this.toggleAttribute("lost", Boolean(person.lost));
    if (person.name !== before.name || person.microphone !== before.microphone || person.own !== before.own || !this.#label.childElementCount) {
      const name = person.own ? make("span", {}, texts.you) : nameElement(person.name, texts.unnamed);
      const muted = person.microphone === false ? [icon("microphone", { off: true }), make("span", { class: "spoken" }, texts.room.microphoneOff)] : [];
      this.#label.replaceChildren(...muted, name);
      this.#avatar.textContent = initials(person.name) || initials(texts.unnamed);
    }
    this.#showPicture();
  }

  /** Play a track, or stop playing one of its kind. */
  play(kind, track) {
    const element = kind === "video" ? this.#video : this.#audio;
    if (element.srcObject?.getTracks()[0] === (track ?? undefined)) return;
    element.srcObject = track ? new MediaStream([track]) : null;
    if (track) element.play().catch(() => {}); // until the page may play sound, which the next click allows
    if (kind === "video") this.#watch();
    this.#showPicture();
  }

  /** Notice a picture that stands still: its sender has switched the camera off, or cannot be reached. */
  #watch() {
    clearTimeout(this.#timer);
    this.toggleAttribute("still", true);
    const { requestVideoFrameCallback } = HTMLVideoElement.prototype;
    if (!requestVideoFrameCallback) return this.toggleAttribute("still", false);
    const video = this.#video;
    const frame = () => {
      if (!this.isConnected) return;
      clearTimeout(this.#timer);
      this.toggleAttribute("still", false);
      this.#timer = setTimeout(() => document.visibilityState === "visible" && this.toggleAttribute("still", true), STILL_MS);
      requestVideoFrameCallback.call(video, frame);
    };
    if (video.srcObject) requestVideoFrameCallback.call(video, frame);
  }

  #showPicture() {
    this.toggleAttribute("picture", Boolean(this.#video.srcObject) && this.#person.camera !== false);
  }
}

customElements.define("person-tile", PersonTile);
