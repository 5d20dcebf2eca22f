// What changes by itself. Where the token may read events, one tab of the browser waits for them (GET /events?wait) and
// passes them on to the others of the same tenant; without that permission, lists are read again every 15 seconds.
//
// The service has few places for those who wait, and keeps one for the rest of its time when a page goes away. So a page
// that is only passed through asks without waiting, and there is one connection for all views of a page.

import { get } from "./api.js";
import { session } from "./session.js";

const WAIT_SECONDS = 15;
const POLL_SECONDS = 15;
const GLANCE_SECONDS = 6;
const ASK_SECONDS = 2;
const PAUSE_SECONDS = 5;

const watchers = new Set();
let running = null;

/** Tell whether changes come as they happen. */
export const isLive = () => session.can("GetEvents");

/** Call back with events as they happen, or with null when something may have changed, until the signal. */
export function watch(signal, callback) {
  watchers.add(callback);
  signal.addEventListener("abort", () => watchers.delete(callback));
  if (running === null) start();
}

const tell = (events) => watchers.forEach((callback) => callback(events));

function start() {
  running = new AbortController();
  const { signal } = running;
  const stop = () => {
    running?.abort();
    running = null;
  };
  session.onChange(stop, { once: true });
  if (!isLive()) {
    const timer = setInterval(() => document.visibilityState === "visible" && tell(null), POLL_SECONDS * 1000);
    signal.addEventListener("abort", () => clearInterval(timer));
    return;
  }
  const name = `videoconf.events.${session.tenant}`;
  const channel = new BroadcastChannel(name);
  channel.onmessage = ({ data }) => tell(data);
  signal.addEventListener("abort", () => channel.close());
  const lead = () =>
    follow(signal, (events) => {
      tell(events);
      channel.postMessage(events);
    });
  if (!navigator.locks) {
    lead(); // an insecure origin has no locks: each tab waits for itself
    return;
  }
  navigator.locks.request(name, { signal }, lead).catch((error) => {
    if (error.name !== "AbortError") throw error;
  });
}

/** Follow the log of events from now on, until the signal. */
async function follow(signal, report) {
  const waitsFrom = Date.now() + GLANCE_SECONDS * 1000;
  let after = null;
  while (!signal.aborted) {
    try {
      if (after === null) {
        after = (await get("/events", { after: "now", limit: 1 }, signal)).next;
        report(null); // what happened before is not among the events that come
      }
      const mayWait = Date.now() >= waitsFrom && document.visibilityState === "visible";
      if (!mayWait) await pause(ASK_SECONDS, signal);
      if (signal.aborted) return;
      const found = await get("/events", { after, limit: 100, ...(mayWait ? { wait: WAIT_SECONDS } : {}) }, signal);
      after = found.next;
      if (found.items.length > 0) report(found.items);
    } catch (problem) {
      if (signal.aborted) return;
      if (problem.status === undefined) throw problem;
      if (problem.status === 401 || problem.status === 403) return;
      if (problem.status === 410 || problem.status === 422) after = null;
      else await pause(problem.retryAfterSeconds ?? PAUSE_SECONDS, signal);
    }
  }
}

const pause = (seconds, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
