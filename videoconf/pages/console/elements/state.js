// A word with a dot, and the four states that every view has: loading, empty, refused, failed.

import { h } from "../dom.js";
import { words } from "../words.js";

/** Write a state as a word with a dot; `tone` is good, warn, bad or nothing. */
export const dot = (word, tone = "") => h("span", { class: `state ${tone}` }, word);

/** Blocks that stand where rows will be. */
export const loading = (rows = 6) =>
  h(
    "div",
    { class: "loading", role: "status" },
    h("span", { class: "spoken" }, words.states.loading),
    Array.from({ length: rows }, () => h("div", { class: "skeleton" })),
  );

const notice = (title, text, ...more) =>
  h("div", { class: "notice" }, h("h2", {}, title), text && h("p", { class: "quiet" }, text), more);

export const empty = ({ title, text }, ...actions) => notice(title, text, actions);

export const refused = (permission) => notice(words.states.refused(permission), words.states.refusedText);

/** Say why something could not be read, and offer to try again. */
export function failed(problem, retry) {
  const again = h("button", { class: "button", type: "button", onclick: retry }, words.states.retry);
  if (problem.status === 0) {
    return navigator.onLine
      ? notice(words.states.unreachable, words.states.unreachableText, again)
      : notice(words.states.offline, words.states.offlineText, again);
  }
  if (problem.status === 404) return notice(words.states.missing, words.states.missingText);
  if (problem.status === 429 || problem.status === 503) return notice(words.states.failed, words.states.busy, again);
  const id = problem.requestId && h("p", { class: "quiet small mono" }, words.states.request(problem.requestId));
  return notice(words.states.failed, problem.message || problem.title, id, again);
}
