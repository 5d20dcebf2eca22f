// Webhooks that providers sent, with their outcomes.

import { part } from "../api.js";
import { h } from "../dom.js";
import { href } from "../route.js";
import { session } from "../session.js";
import { words } from "../words.js";
import { filters } from "../elements/filters.js";
import { list } from "../elements/list.js";
import { named } from "../elements/name.js";
import { page } from "../elements/page.js";
import { dot } from "../elements/state.js";
import { moment } from "../elements/time.js";
import { every } from "../elements/part.js";

const { webhooks: text } = words;
const NAMES = ["status", "meetingLink", "since"];
const TONES = { applied: "good", orphan: "warn", ignored: "", quarantined: "bad", rejected: "bad" };
const FOR_OPERATORS = ["orphan", "rejected"];
const REFRESH_SECONDS = 10;
const DAYS = { 1: "24 h", 7: "7 days" };

export function view({ query }, signal) {
  const asked = Object.fromEntries(NAMES.map((name) => [name, query.get(name)]));
  const operates = session.can("ManageOperations");
  const canOpen = session.can("GetMeetings");
  const shown = list({
    caption: words.pages.webhooks,
    key: (event) => event.id ?? `${event.provider} ${event.receivedOn} ${event.reason}`,
    load: (cursor, stop) => part("/webhook-events", asked, cursor, stop),
    columns: [
      { label: text.columns.kind, kind: "main", cell: (event) => h("span", { class: "title" }, event.kind === null ? text.refused : (text.kind[event.kind] ?? event.kind)) },
      { label: text.columns.status, kind: "wide", cell: became },
      { label: text.columns.meeting, cell: (event) => meetingCell(event, canOpen) },
      { label: text.columns.provider, kind: "quiet", cell: (event) => `${event.provider} · ${event.channel}` },
      { label: text.columns.received, cell: (event) => moment(event.receivedOn, true) },
    ],
    empty: () => (NAMES.some((name) => asked[name]) ? { title: text.noneTitle, text: words.meeting.noneText } : { title: text.emptyTitle, text: text.emptyText }),
  });
  every(REFRESH_SECONDS, signal, () => shown.refresh());
  const statuses = Object.fromEntries(Object.entries(text.status).filter(([status]) => operates || !FOR_OPERATORS.includes(status)));
  const chips = [
    { name: "status", label: text.filters.status, options: statuses, clears: (value) => (value === "rejected" ? { meetingLink: null } : {}) },
    { name: "meetingLink", label: text.filters.meetingLink },
    { name: "since", label: text.filters.since, options: sinceOptions(asked.since) },
  ];
  const note = h("p", { class: "quiet small" }, text.duplicates);
  return { title: words.pages.webhooks, content: page(words.pages.webhooks, { intro: text.intro, trail: filters(chips, query) }, shown, note) };
}

/** Offer some beginnings, rounded so that the URL stays the same for an hour, and the one that is chosen. */
function sinceOptions(chosen) {
  const hour = Math.floor(Date.now() / 3600000) * 3600000;
  const offered = Object.fromEntries(Object.entries(DAYS).map(([days, label]) => [new Date(hour - days * 86400000).toISOString(), label]));
  return chosen === null || chosen in offered ? offered : { ...offered, [chosen]: new Date(chosen).toLocaleString(words.language) };
}

function became(event) {
  const explained = text.explain[event.status];
  return [dot(text.status[event.status], TONES[event.status]), h("span", { class: "quiet small sentence" }, event.reason && [named(event.reason.replace(/\.$/, ""), 90), ". "], TONES[event.status] !== "good" && event.status !== "ignored" ? explained : null)];
}

function meetingCell(event, canOpen) {
  if (event.meetingLink === null) return null;
  const name = named(event.meetingLink, 14);
  return canOpen ? h("a", { href: href("meetings", event.meetingLink) }, name) : name;
}

