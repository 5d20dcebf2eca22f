// Event subscriptions and their deliveries: attempts as dots, what was sent and answered, and a button to retry.

import { at, get, part, post } from "../api.js";
import { h, put } from "../dom.js";
import { count } from "../format.js";
import { href } from "../route.js";
import { session } from "../session.js";
import { words } from "../words.js";
import { confirm, panel } from "../elements/dialog.js";
import { filters } from "../elements/filters.js";
import { list } from "../elements/list.js";
import { named } from "../elements/name.js";
import { page } from "../elements/page.js";
import { every } from "../elements/part.js";
import { dot, failed, loading } from "../elements/state.js";
import { moment } from "../elements/time.js";

const { subscription: text, deliveries: sent } = words.events;
const TONES = { pending: "warn", succeeded: "good", failed: "bad" };
const REFRESH_SECONDS = 5;
const OK = (status) => status !== null && status >= 200 && status < 300;

export function subscriptions(signal) {
  const shown = list({
    caption: words.events.subscriptions,
    key: (one) => one.id,
    load: (cursor, stop) => part("/event-subscriptions", {}, cursor, stop),
    columns: [
      { label: text.columns.url, kind: "main", cell: (one) => h("a", { class: "title", href: href("events", ["subscriptions", one.id]) }, named(one.url, 60), one.description && h("span", { class: "quiet small" }, named(one.description, 50))) },
      { label: text.columns.state, cell: stateOf },
      { label: text.columns.types, cell: (one) => (one.types === null || one.types.length === 0 ? h("span", { class: "quiet" }, text.all) : text.some(one.types.length)) },
      { label: text.columns.created, cell: (one) => moment(one.createdOn) },
    ],
    empty: () => ({ title: text.emptyTitle, text: text.emptyText }),
  });
  every(REFRESH_SECONDS, signal, () => shown.refresh());
  return shown;
}

function stateOf(one) {
  if (!one.enabled) return [dot(text.disabled, "bad"), one.disabledReason && h("span", { class: "quiet small sentence" }, named(one.disabledReason, 60))];
  return one.failingSince ? [dot(text.failing, "warn"), h("span", { class: "quiet small sentence" }, text.since, " ", moment(one.failingSince))] : dot(text.enabled, "good");
}

/** The deliveries of one subscription. */
export function deliveries(id, query, signal) {
  const status = query.get("status");
  const head = h("div", {}, loading(1));
  const path = at`/event-subscriptions/${id}`;
  let isEnabled = false;
  const retried = (one) => async () => {
    const question = { title: sent.retryTitle, text: sent.retryText, button: sent.retry, done: sent.retried };
    const wasDone = await confirm({ ...question, act: () => post(at`/event-subscriptions/${id}/deliveries/${String(one.id)}/retry`) });
    if (wasDone) shown.refresh();
    return wasDone;
  };
  const read = async () => {
    try {
      const one = await get(path, {}, signal);
      isEnabled = one.enabled;
      put(head, page(named(one.url, 70), { back: BACK, intro: one.description && named(one.description, 100), aside: [stateOf(one), one.enabled && testButton(path, () => shown.refresh())] }));
    } catch (problem) {
      if (signal.aborted) return;
      if (problem.status === undefined) throw problem;
      put(head, failed(problem, read));
    }
  };
  const shown = list({
    caption: sent.title,
    key: (one) => one.id,
    load: (cursor, stop) => part(`${path}/deliveries`, { status }, cursor, stop),
    columns: [
      { label: sent.columns.event, kind: "main", cell: (one) => h("span", { class: "title" }, words.events.types[one.type] ?? one.type) },
      { label: sent.columns.state, cell: (one) => dot(sent.state[one.status] ?? one.status, TONES[one.status]) },
      { label: sent.columns.attempts, cell: (one) => attemptsOf(one, () => isEnabled && retried(one)) },
      { label: sent.columns.next, kind: "labelled", cell: (one) => one.nextAttemptOn && moment(one.nextAttemptOn, true) },
      { label: sent.columns.created, cell: (one) => moment(one.createdOn, true) },
    ],
    empty: () => (status === null ? { title: sent.emptyTitle, text: sent.emptyText } : { title: sent.noneTitle, text: words.meeting.noneText }),
  });
  read();
  every(REFRESH_SECONDS, signal, () => {
    read();
    shown.refresh();
  });
  const chips = [{ name: "status", label: sent.filters.status, options: sent.state }];
  return [head, filters(chips, query), shown];
}

const BACK = { href: href("events", "subscriptions"), label: words.events.subscriptions };

function testButton(path, changed) {
  const onclick = async () => {
    const question = { title: text.testTitle, text: text.testText, button: text.test, done: text.tested };
    if (await confirm({ ...question, act: () => post(`${path}/test`) })) changed();
  };
  return h("button", { class: "button", type: "button", onclick }, text.test);
}

/** Draw each attempt as a dot; a click shows what was sent and what came back. */
function attemptsOf(delivery, retry) {
  const dots = delivery.attempts.map((one) => h("span", { class: `attempt ${OK(one.status) ? "good" : "bad"}` }));
  const label = sent.attempts(dots.length);
  return h("button", { class: "attempts", type: "button", "aria-label": label, title: label, onclick: () => show(delivery, retry) }, dots.length > 0 ? dots : h("span", { class: "attempt" }));
}

/** Show what a delivery sends and its attempts. `retry` asks and sends again; it returns null where that is not possible. */
function show(delivery, retry) {
  panel(
    words.events.types[delivery.type] ?? delivery.type,
    (close) => {
      const again = delivery.status === "failed" ? retry() : null;
      return [
        h("p", { class: "quiet small" }, h("code", {}, delivery.eventId)),
        h("section", { class: "because-of" }, h("h3", {}, sent.request), requestOf(delivery)),
        delivery.attempts.map(attempt),
        delivery.attempts.length === 0 && h("p", { class: "quiet" }, sent.notYet),
        again && h("button", { class: "button primary", type: "button", onclick: async () => (await again()) && close() }, sent.retry),
      ];
    },
    "beside",
  );
}

/** Show the body of each attempt: the event, which the log keeps for a time, where the token may read it. */
function requestOf(delivery) {
  const note = (sentence) => h("p", { class: "quiet" }, sentence);
  if (delivery.position === null) return note(sent.test);
  if (!session.can("GetEvents")) return note(sent.needs("GetEvents"));
  const place = h("div", {}, loading(3));
  const read = async () => {
    try {
      const { items } = await get("/events", { before: delivery.position + 1, limit: 1 });
      const event = items.find((one) => one.id === delivery.eventId);
      put(place, event ? h("pre", { class: "body", tabindex: 0, "aria-label": sent.request }, JSON.stringify(event, null, 2)) : note(sent.notKept));
    } catch (problem) {
      if (problem.status === undefined) throw problem;
      put(place, failed(problem, read));
    }
  };
  read();
  return place;
}

function attempt(one, place) {
  const took = one.durationMs !== null && one.durationMs !== undefined && `${count(Math.round(one.durationMs))} ms`;
  return h(
    "section",
    { class: "because-of" },
    h("h3", {}, sent.attempt(place + 1), " ", dot(one.status === null ? sent.noAnswer : String(one.status), OK(one.status) ? "good" : "bad")),
    h("p", { class: "quiet small" }, moment(one.at, true), took && ` · ${took}`),
    one.error && h("p", { class: "problem" }, named(one.error, 300)),
    one.body && [h("h4", {}, sent.answer), h("pre", { class: "body", tabindex: 0 }, one.body)],
  );
}
