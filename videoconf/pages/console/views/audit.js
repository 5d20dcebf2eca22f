// The audit trail: who changed what.

import { part } from "../api.js";
import { h } from "../dom.js";
import { href } from "../route.js";
import { session } from "../session.js";
import { words } from "../words.js";
import { filters } from "../elements/filters.js";
import { list } from "../elements/list.js";
import { named } from "../elements/name.js";
import { page } from "../elements/page.js";
import { moment } from "../elements/time.js";

const { audit: text } = words;
const TIME = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/;
const NAMES = ["meetingLink", "actor", "action", "since", "until"];

export function view({ query }) {
  const asked = Object.fromEntries(NAMES.map((name) => [name, query.get(name)]));
  const canOpen = session.can("GetMeetings");
  const seen = new WeakMap();
  let numbers = 0;
  const keyOf = (entry) => {
    // Entries have no id, and two entries can have equal values, so the object itself is the key.
    if (!seen.has(entry)) seen.set(entry, (numbers += 1));
    return seen.get(entry);
  };
  const shown = list({
    caption: words.pages.audit,
    key: keyOf,
    load: (cursor, stop) => part("/audit", asked, cursor, stop),
    columns: [
      { label: text.columns.action, kind: "main", cell: (entry) => h("span", { class: "title" }, text.actions[entry.action] ?? entry.action) },
      { label: text.columns.actor, cell: who },
      { label: text.columns.meeting, cell: (entry) => meetingCell(entry, canOpen) },
      { label: text.columns.change, kind: "wide", cell: change },
      { label: text.columns.at, cell: (entry) => moment(entry.at, true) },
    ],
    empty: () => (NAMES.some((name) => asked[name]) ? { title: text.noneTitle, text: words.meeting.noneText } : { title: text.emptyTitle, text: text.emptyText }),
  });
  const chips = [
    { name: "action", label: text.filters.action, options: text.actions, group: "what" },
    { name: "actor", label: text.filters.actor, group: "what" },
    { name: "meetingLink", label: text.filters.meetingLink },
    { kind: "range", names: ["since", "until"], label: text.filters.range },
  ];
  return { title: words.pages.audit, content: page(words.pages.audit, { trail: filters(chips, query) }, shown) };
}

const who = (entry) => [named(entry.actor, 28), entry.actorType !== null && entry.actorType !== "caller" && h("span", { class: "quiet small" }, text.actorType[entry.actorType] ?? entry.actorType)];

function meetingCell(entry, canOpen) {
  if (entry.meetingLink === null) return null;
  const name = named(entry.meetingLink, 14);
  return canOpen ? h("a", { href: href("meetings", entry.meetingLink) }, name) : name;
}

function change(entry) {
  const names = [...new Set([...Object.keys(entry.before ?? {}), ...Object.keys(entry.after ?? {})])];
  return [
    entry.target !== null && h("div", {}, h("code", {}, named(entry.target, 40))),
    names.map((name) => h("div", { class: "change small" }, h("span", { class: "quiet" }, name, " "), entry.before?.[name] !== undefined && [valueOf(entry.before?.[name]), " → "], valueOf(entry.after?.[name]))),
  ];
}

function valueOf(value) {
  if (value === undefined || value === null) return h("span", { class: "quiet" }, text.unset);
  if (typeof value === "string" && TIME.test(value)) return moment(value, true);
  return named(typeof value === "object" ? JSON.stringify(value) : String(value), 30);
}
