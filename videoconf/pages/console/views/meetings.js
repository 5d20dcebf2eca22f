// The meetings of the tenant: who is in right now, what is planned, what was.

import { part } from "../api.js";
import { h } from "../dom.js";
import { count, titleOf } from "../format.js";
import { isLive, watch } from "../live.js";
import { peopleNow } from "../people-now.js";
import { href } from "../route.js";
import { session } from "../session.js";
import { words } from "../words.js";
import { filters } from "../elements/filters.js";
import { list } from "../elements/list.js";
import { named } from "../elements/name.js";
import { page } from "../elements/page.js";
import { dot } from "../elements/state.js";
import { moment } from "../elements/time.js";

const { meeting: text } = words;
const NAMES = ["extId", "attendee", "provider", "status", "createdFrom", "createdTo", "scheduledFrom", "scheduledTo", "sort"];
const SETTLE_SECONDS = 1;
export const TONES = { scheduled: "warn", open: "good", ended: "", deleted: "bad" };

export function view({ query }, signal) {
  const asked = Object.fromEntries(NAMES.map((name) => [name, query.get(name)]));
  const canCount = session.can("GetMeetingAttendees");
  let people = new Map();
  const shown = list({
    caption: words.pages.meetings,
    key: (meeting) => meeting.meetingLink,
    further: (meeting) => people.get(meeting.meetingLink),
    load: async (cursor, stop) => {
      const found = await part("/session", asked, cursor, stop);
      if (canCount) people = await peopleNow([...shown.items, ...found.items], stop, people);
      return found;
    },
    columns: [
      { label: text.columns.title, kind: "main", cell: title },
      { label: text.columns.status, cell: (meeting) => dot(text.status[meeting.status], TONES[meeting.status]) },
      canCount && { label: text.columns.people, kind: "number labelled", cell: (meeting) => now(people.get(meeting.meetingLink)) },
      { label: text.columns.start, cell: (meeting) => moment(meeting.startTime ?? meeting.scheduleTime) },
      { label: text.columns.length, kind: "number", cell: lengthOf },
      { label: text.columns.provider, kind: "quiet", cell: (meeting) => meeting.provider },
    ].filter(Boolean),
    empty: () =>
      NAMES.some((name) => name !== "sort" && asked[name] !== null)
        ? { title: text.noneTitle, text: text.noneText }
        : { title: text.emptyTitle, text: text.emptyText },
  });
  refreshLive(signal, () => shown.refresh());
  const live = h("span", { class: "live", title: isLive() ? text.liveHint : text.polled }, isLive() ? text.live : null);
  return { title: words.pages.meetings, content: page(words.pages.meetings, { aside: live, trail: filters(chips(asked), query) }, shown) };
}

/** Refresh soon after something has happened; what happens in the same moment is one refresh. */
export function refreshLive(signal, refresh, concerns = () => true) {
  let due = null;
  watch(signal, (events) => {
    if (events !== null && !events.some(concerns)) return;
    due ??= setTimeout(() => {
      due = null;
      if (!signal.aborted) refresh();
    }, SETTLE_SECONDS * 1000);
  });
}

function title(meeting) {
  const name = titleOf(meeting);
  return h("a", { href: href("meetings", meeting.meetingLink), class: "title" }, name === null ? text.untitled : named(name, 60), name !== meeting.extId && meeting.extId !== null && h("span", { class: "quiet small" }, named(meeting.extId, 30)));
}

const now = (people) => (people ? h("span", { class: "people" }, count(people)) : null);

const lengthOf = (meeting) =>
  meeting.startTime === null || meeting.status === "scheduled"
    ? null
    : h("vc-length", { from: meeting.startTime, to: meeting.endTime ?? meeting.deletedOn });

function chips(asked) {
  const isScheduled = asked.sort?.endsWith("scheduled");
  const noSchedule = (value) => (value === null ? {} : { scheduledFrom: null, scheduledTo: null, ...(isScheduled ? { sort: null } : {}) });
  const otherRange = (value) => (value?.endsWith("scheduled") ? { createdFrom: null, createdTo: null, attendee: null } : { scheduledFrom: null, scheduledTo: null });
  return [
    { name: "status", label: text.filters.status, options: text.status, group: "what" },
    { name: "provider", label: text.filters.provider, options: Object.fromEntries(Object.keys(session.settings.providers).map((key) => [key, key])), group: "what" },
    { name: "extId", label: text.filters.extId, group: "what" },
    { name: "attendee", label: text.filters.attendee, group: "what", clears: noSchedule },
    { kind: "range", names: ["createdFrom", "createdTo"], label: text.filters.created, with: { scheduledFrom: null, scheduledTo: null, ...(isScheduled ? { sort: null } : {}) } },
    { kind: "range", names: ["scheduledFrom", "scheduledTo"], label: text.filters.scheduled, with: { createdFrom: null, createdTo: null, attendee: null, ...(isScheduled ? {} : { sort: "-scheduled" }) } },
    { kind: "sort", name: "sort", label: words.filters.sort, options: text.sort, initial: "-created", clears: otherRange },
  ];
}
