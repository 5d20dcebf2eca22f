// Work that outlives a request: what waits, what is done, and what gave up.

import { at, part, post } from "../api.js";
import { h } from "../dom.js";
import { count } from "../format.js";
import { words } from "../words.js";
import { confirm } from "../elements/dialog.js";
import { filters } from "../elements/filters.js";
import { list } from "../elements/list.js";
import { named } from "../elements/name.js";
import { page } from "../elements/page.js";
import { every } from "../elements/part.js";
import { dot } from "../elements/state.js";
import { moment } from "../elements/time.js";

const { jobs: text } = words;
const TONES = { pending: "warn", done: "good", dead: "bad" };
const REFRESH_SECONDS = 10;

export function view({ query }, signal) {
  const state = query.get("state");
  const shown = list({
    caption: words.pages.jobs,
    key: (job) => job.id,
    load: (cursor, stop) => part("/jobs", { state }, cursor, stop),
    columns: [
      { label: text.columns.kind, kind: "main", cell: kindOf },
      { label: text.columns.state, cell: (job) => dot(text.state[job.state], TONES[job.state]) },
      { label: text.columns.attempts, kind: "number labelled", cell: (job) => count(job.attempts) },
      { label: text.columns.error, kind: "wide", cell: (job) => job.lastError && named(job.lastError, 90) },
      { label: text.columns.due, kind: "labelled", cell: (job) => moment(job.state === "pending" ? job.dueOn : null) },
      { label: text.columns.created, kind: "labelled", cell: (job) => moment(job.createdOn) },
      { label: words.list.actions, kind: "acts", isQuiet: true, cell: (job) => job.state === "dead" && retryButton(job, () => shown.refresh()) },
    ],
    empty: () => (state === null ? { title: text.emptyTitle, text: text.emptyText } : { title: text.noneTitle, text: words.meeting.noneText }),
  });
  every(REFRESH_SECONDS, signal, () => shown.refresh());
  const chips = [{ name: "state", label: text.filters.state, options: text.state }];
  return { title: words.pages.jobs, content: page(words.pages.jobs, { intro: text.intro, trail: filters(chips, query) }, shown) };
}

function kindOf(job) {
  const about = Object.entries(job.payload).map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`);
  return [h("span", { class: "title" }, text.kinds[job.kind] ?? sentence(job.kind)), about.length > 0 && h("span", { class: "quiet small" }, named(about.join(", "), 60))];
}

const sentence = (kind) => kind.charAt(0).toUpperCase() + kind.slice(1).replaceAll("_", " ");

function retryButton(job, changed) {
  const onclick = async () => {
    const question = { title: text.retryTitle, text: text.retryText, button: text.retry, done: text.retried };
    if (await confirm({ ...question, act: () => post(at`/jobs/${String(job.id)}/retry`) })) changed();
  };
  return h("button", { class: "button small", type: "button", onclick }, text.retry);
}
