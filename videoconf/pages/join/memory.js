// What this tab, or this browser, remembers. Where storage is forbidden, as in some frames, the page remembers by itself.

class Memory {
  #held = new Map();
  #find;

  constructor(find) {
    this.#find = find;
  }

  get(key) {
    try {
      return this.#find().getItem(key);
    } catch {
      return this.#held.get(key) ?? null;
    }
  }

  set(key, value) {
    try {
      if (value === null) this.#find().removeItem(key);
      else this.#find().setItem(key, value);
    } catch {
      this.#held.set(key, value);
    }
  }
}

export const tab = new Memory(() => sessionStorage);
export const browser = new Memory(() => localStorage);
