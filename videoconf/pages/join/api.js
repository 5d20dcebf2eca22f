// The requests that the join page makes. Paths are relative to the page, so that they work below any path prefix.

import { tab } from "./memory.js";

const REQUEST_MS = 15_000;
let ahead = 0; // milliseconds by which this device's clock is ahead of the service's

/** Return the present by the service's clock: a device's own may be wrong by hours. */
export function now() {
  return Date.now() - ahead;
}

/** What the service answered instead of what was asked for. `code` is `offline` where it did not answer. */
export class Refused extends Error {
  constructor(status, problem = {}, retrySeconds = null) {
    super(problem.detail ?? problem.title ?? String(status));
    this.status = status;
    this.code = problem.code ?? (status ? "unexpected" : "offline");
    this.problem = problem;
    this.retrySeconds = retrySeconds;
  }

  /** Whether the same request may succeed later. */
  get passes() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

async function ask(method, path, body, more = {}) {
  let response;
  try {
    response = await fetch(path, {
      method,
      body: body === undefined ? undefined : JSON.stringify(body),
      headers: {
        ...(body !== undefined && { "Content-Type": "application/json" }),
        ...more,
      },
      signal: AbortSignal.timeout(REQUEST_MS),
      credentials: "omit",
      cache: "no-store",
    });
  } catch {
    throw new Refused(0);
  }
  const date = Date.parse(response.headers.get("Date"));
  if (Math.abs(Date.now() - date) > 5_000) ahead = Date.now() - date;
  const text = await response.text().catch(() => "");
  let answer = null;
  try {
    answer = text ? JSON.parse(text) : null;
  } catch {
    // A proxy's page in place of an answer.
  }
  if (response.ok) return { status: response.status, answer };
  const seconds = Number(response.headers.get("Retry-After"));
  throw new Refused(response.status, answer ?? {}, seconds > 0 ? seconds : null);
}

/** Return whether the provider's frame exists: a provider may have no client for browsers. */
export async function hasRoom(path) {
  try {
    await ask("HEAD", path);
    return true;
  } catch (error) {
    if (error.status === 404) return false;
    throw error;
  }
}

/** `crypto.randomUUID` exists on secure origins alone. */
const randomKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** The door of one invitation: its code, and the seat that this tab has been given. */
export class Door {
  #seatKey;
  #once = { "Idempotency-Key": randomKey() }; // a repetition whose answer was lost finds the seat again

  constructor(code) {
    this.code = code;
    this.#seatKey = `videoconf-seat-${code}`;
  }

  get seat() {
    return tab.get(this.#seatKey);
  }

  /** Return what one may know of the meeting before joining. */
  async look() {
    return (await this.#withSeat((body) => ask("POST", "join/invitation", body))).answer;
  }

  /** Return `{ issued }`, or `{ ticket }` where the host lets people in. */
  async join(name) {
    return this.#admitted(await this.#withSeat((body) => ask("POST", "join", name ? { ...body, name } : body, this.#once)));
  }

  async askAgain(ticket) {
    return this.#admitted(await ask("POST", "join/ticket", { ticket }));
  }

  /** A seat that no longer exists, as after a withdrawal of the link, must not keep out who has a valid code. */
  async #withSeat(request) {
    if (!this.seat) return request({ code: this.code });
    try {
      return await request({ code: this.code, seat: this.seat });
    } catch (error) {
      if (error.status !== 404) throw error;
      tab.set(this.#seatKey, null);
      return request({ code: this.code });
    }
  }

  #admitted({ status, answer }) {
    if (status === 202) return { ticket: answer.ticket };
    if (answer.seat) tab.set(this.#seatKey, answer.seat);
    return { issued: answer };
  }
}

/** What a moderator may do with the `control` of their seat. */
export class Host {
  constructor(meetingLink, control) {
    this.path = `session/${encodeURIComponent(meetingLink)}`;
    this.authorization = { Authorization: `Control ${control}` };
  }

  async lobby() {
    return (await this.#ask("GET", "lobby")).answer;
  }

  decide(lobbyId, admit) {
    return this.#ask("POST", `lobby/${encodeURIComponent(lobbyId)}`, { admit });
  }

  mute(connection) {
    return this.#ask("POST", `attendees/${encodeURIComponent(connection)}/mute`);
  }

  remove(connection) {
    return this.#ask("DELETE", `attendees/${encodeURIComponent(connection)}`);
  }

  end() {
    return this.#ask("PATCH", "end");
  }

  #ask(method, path, body) {
    return ask(method, `${this.path}/${path}`, body, this.authorization);
  }
}
