// What went out: the log of events, and the subscriptions that are sent them.

import { get } from "../api.js";
import { h } from "../dom.js";
import { count } from "../format.js";
import { isLive } from "../live.js";
import { href } from "../route.js";
import { session } from "../session.js";
import { words } from "../words.js";
import { panel } from "../elements/dialog.js";
import { filters } from "../elements/filters.js";
import { list } from "../elements/list.js";
import { named } from "../elements/name.js";
import { page } from "../elements/page.js";
import { refused } from "../elements/state.js";
import { moment } from "../elements/time.js";
import { deliveries, subscriptions } from "./subscriptions.js";
import { refreshLive } from "./meetings.js";

const { events: text } = words;
const NAMES = ["type", "meetingLink"];
const AT_ONCE = 50;
const SUBSCRIPTIONS = "subscriptions";

export function view({ ids: [tab, id], query }, signal) {
  const isLog = tab !== SUBSCRIPTIONS && (session.can("GetEvents") || !session.can("ManageEventSubscriptions"));
  const needed = isLog ? "GetEvents" : "ManageEventSubscriptions";
  const title = words.pages.events;
  if (!session.can(needed)) return { title, content: page(title, { trail: tabs(isLog) }, refused(needed)) };
  if (!isLog && id !== undefined) return { title: text.deliveries.title, content: deliveries(id, query, signal) };
  if (!isLog) return { title: text.subscriptions, content: page(title, { trail: tabs(isLog) }, subscriptions(signal)) };
  return { title, content: log(query, signal) };
}

/** Link to the log and to the subscriptions, where the token may see both. */
function tabs(isLog) {
  if (!session.can("GetEvents", "ManageEventSubscriptions")) return null;
  const tab = (label, to, isHere) => h("a", { href: to, "aria-current": isHere ? "page" : null }, label);
  return h(
    "nav",
    { class: "tabs", "aria-label": words.pages.events },
    tab(text.log, href("events"), isLog),
    tab(text.subscriptions, href("events", SUBSCRIPTIONS), !isLog),
  );
}

function log(query, signal) {
  const asked = Object.fromEntries(NAMES.map((name) => [name, query.get(name)]));
  const canOpen = session.can("GetMeetings");
  const shown = list({
    caption: words.pages.events,
    key: (event) => event.id,
    load: (cursor, stop) => newest(asked, cursor, stop),
    columns: [
      { label: text.columns.type, kind: "main", cell: titleOf },
      { label: text.columns.meeting, cell: (event) => meetingCell(event, canOpen) },
      { label: text.columns.sequence, kind: "number labelled", cell: (event) => count(event.sequence) },
      { label: text.columns.at, cell: (event) => moment(event.at, true) },
    ],
    empty: () => (NAMES.some((name) => asked[name]) ? { title: text.noneTitle, text: words.meeting.noneText } : { title: text.emptyTitle, text: text.emptyText }),
  });
  refreshLive(signal, () => shown.refresh());
  const chips = [
    { name: "type", label: text.filters.type, options: Object.fromEntries(Object.entries(text.types).filter(([type]) => type.includes("."))) },
    { name: "meetingLink", label: text.filters.meetingLink },
  ];
  const live = isLive() && h("span", { class: "live" }, words.meeting.live);
  return page(words.pages.events, { intro: text.intro, aside: live, trail: [tabs(true), filters(chips, query)] }, shown);
}

/** Read events, the newest first. */
async function newest(asked, before, signal) {
  const found = await get("/events", { ...asked, before: before ?? "now", limit: AT_ONCE }, signal);
  return { items: found.items, next: found.next === 0 ? null : String(found.next) };
}

function titleOf(event) {
  const about = event.type.startsWith("attendee.") ? (event.data.name ?? event.data.attendee) : event.type.startsWith("archive.") ? event.data.name : null;
  return h(
    "button",
    { type: "button", class: "title as-link", onclick: () => body(event) },
    text.types[event.type] ?? event.type,
    about && h("span", { class: "quiet" }, " ", named(about, 36)),
  );
}

function meetingCell(event, canOpen) {
  const name = named(event.extId ?? event.meetingLink, 24);
  return canOpen ? h("a", { href: href("meetings", event.meetingLink) }, name) : name;
}

/** Show the body of an event, as receivers get it. */
const body = (event) =>
  panel(text.types[event.type] ?? event.type, () => [h("p", { class: "quiet small" }, event.type, " · ", moment(event.at, true)), h("h3", {}, text.body), h("pre", { class: "body", tabindex: 0 }, JSON.stringify(event, null, 2))], "beside");
