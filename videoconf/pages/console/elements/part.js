// The base of all elements: what they start ends when they leave the page.

export class Part extends HTMLElement {
  connectedCallback() {
    this.leaving = new AbortController();
    this.show(this.leaving.signal);
  }

  disconnectedCallback() {
    this.leaving?.abort();
  }

  /** Fill the element. What it starts must end with the signal. */
  show() {}

  /** Tell those around that something happened. */
  announce(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true }));
  }
}

/** Call a function every so many seconds while the page can be seen, until the signal. */
export function every(seconds, signal, callback) {
  const timer = setInterval(() => document.visibilityState === "visible" && callback(), seconds * 1000);
  signal.addEventListener("abort", () => clearInterval(timer));
}
