// What changes by itself. Where the token may read events, one tab of the browser waits for them (GET /events?wait) and
// passes them on to the others of the same tenant; without that permission, lists are read again every 15 seconds.

import { get } from "./api.js";
import { session } from "./session.js";

const WAIT_SECONDS = 25;
const POLL_SECONDS = 15;
const PAUSE_SECONDS = 3;

/** Tell whether changes come as they happen. */
export const isLive = () => session.can("GetEvents");

const pause = (seconds, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });

/** Call back with events as they happen, or with null when something may have changed, until the signal. */
export function watch(signal, callback) {
  const seen = (events) => !signal.aborted && callback(events);
  if (!isLive()) {
    const timer = setInterval(() => document.visibilityState === "visible" && seen(null), POLL_SECONDS * 1000);
    signal.addEventListener("abort", () => clearInterval(timer));
    return;
  }
  const name = `videoconf.events.${session.tenant}`;
  const channel = new BroadcastChannel(name);
  channel.onmessage = ({ data }) => seen(data);
  signal.addEventListener("abort", () => channel.close());
  const lead = () => wait(signal, (events) => {
    seen(events);
    if (!signal.aborted) channel.postMessage(events);
  });
  if (!navigator.locks) {
    lead(); // an insecure origin has no locks: each tab waits for itself
    return;
  }
  navigator.locks.request(name, { signal }, lead).catch((error) => {
    if (error.name !== "AbortError") throw error;
  });
}

async function wait(signal, tell) {
  let after = null;
  while (!signal.aborted) {
    try {
      if (after === null) {
        after = (await get("/events", { after: "now", limit: 1 }, signal)).next;
        tell(null); // what happened before is not among the events that come
        continue;
      }
      const found = await get("/events", { after, wait: WAIT_SECONDS, limit: 100 }, signal);
      after = found.next;
      if (found.items.length > 0) tell(found.items);
    } catch (problem) {
      if (signal.aborted) return;
      if (problem.status === undefined) throw problem;
      if (problem.status === 410 || problem.status === 400) after = null;
      if (problem.status === 401 || problem.status === 403) return;
      await pause(problem.retryAfterSeconds ?? PAUSE_SECONDS, signal);
      if (!signal.aborted && problem.status !== 410) tell(null);
    }
  }
}
