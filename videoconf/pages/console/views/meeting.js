// One meeting: its facts, what can be done, who was there when and why, what was recorded.

import { at, get, part } from "../api.js";
import { h, icon, put } from "../dom.js";
import { titleOf } from "../format.js";
import { href } from "../route.js";
import { session } from "../session.js";
import { words } from "../words.js";
import { Attendance } from "../elements/attendance.js";
import { named } from "../elements/name.js";
import { page, section } from "../elements/page.js";
import { dot, failed, loading } from "../elements/state.js";
import { moment } from "../elements/time.js";
import { actionsOf } from "./meeting-actions.js";
import { recordings } from "./archives.js";
import { bans, invitations } from "./meeting-door.js";
import { TONES, refreshLive } from "./meetings.js";

const { meeting: text } = words;
const MOST_ARCHIVES = 100;

export function view({ ids: [link] }, signal) {
  const root = h("div", { class: "one-meeting" }, loading(8));
  const shown = new OneMeeting(root, link, signal);
  shown.read();
  refreshLive(signal, () => shown.read(), (event) => event.meetingLink === link);
  return { title: text.untitled, content: root };
}

class OneMeeting {
  constructor(root, link, signal) {
    Object.assign(this, { root, link, signal });
    this.canAttend = session.can("GetMeetingAttendees");
    this.canArchive = session.can("GetMeetingArchives");
  }

  /** Read everything that the token may see of the meeting, and show it. */
  async read() {
    const { link, signal } = this;
    const only = (may, read) => (may ? read() : null);
    try {
      const [meeting, attendees, report, archives] = await Promise.all([
        get(at`/session/${link}`, {}, signal),
        only(this.canAttend, () => get(at`/session/${link}/attendees`, { streams: true }, signal)),
        only(this.canAttend, () => get(at`/session/${link}/attendance`, {}, signal)),
        only(this.canArchive, () => part("/archives", { meetingLink: link }, null, signal, MOST_ARCHIVES)),
      ]);
      if (signal.aborted) return;
      this.draw({ meeting, attendees, report, archives: archives?.items ?? null });
    } catch (problem) {
      if (signal.aborted) return;
      if (problem.status === undefined) throw problem;
      if (this.meeting === undefined) put(this.root, page(text.untitled, BACK), failed(problem, () => this.read()));
    }
  }

  draw(found) {
    const isFirst = this.meeting === undefined;
    Object.assign(this, found);
    const changed = () => this.read();
    const name = titleOf(this.meeting);
    document.title = `${name ?? text.untitled} · ${words.product}`;
    const state = dot(text.status[this.meeting.status], TONES[this.meeting.status]);
    const head = page([name === null ? text.untitled : named(name, 80), state], { ...BACK, aside: actionsOf({ ...found, changed }) });
    if (isFirst) this.frame();
    put(this.head, head);
    put(this.facts, facts(this.meeting));
    this.attendance?.take(found);
    if (this.archives !== null) put(this.recorded, recordings(this.archives, this.meeting, changed));
    this.door?.refresh();
  }

  /** Lay the parts out once, so that a change redraws only what it must. */
  frame() {
    this.head = h("div");
    this.facts = h("dl", { class: "facts" });
    this.recorded = h("div");
    const changed = () => this.read();
    if (this.canAttend) this.attendance = new Attendance(this.link, changed);
    this.door = doorOf(this.meeting, this.signal);
    put(
      this.root,
      this.head,
      h("section", { class: "facts-card", "aria-label": text.facts }, this.facts, related(this.link)),
      this.attendance?.element,
      this.archives !== null && section(words.archive.section, null, this.recorded),
      this.door?.elements,
    );
  }
}

const BACK = { back: { href: href("meetings"), label: words.pages.meetings } };

function facts(meeting) {
  const { fact } = text;
  const yes = (value, label) => (value ? [label, text.fact.on] : null);
  return [
    [fact.link, h("code", {}, named(meeting.meetingLink, 40))],
    meeting.extId !== null && [fact.extId, named(meeting.extId, 40)],
    [fact.provider, meeting.provider],
    [fact.created, [moment(meeting.createdOn), h("span", { class: "quiet" }, " · "), named(meeting.createdBy, 24)]],
    meeting.scheduleTime && [fact.scheduled, moment(meeting.scheduleTime)],
    [fact.start, moment(meeting.startTime) ?? h("span", { class: "quiet" }, words.nothing)],
    meeting.endTime && [fact.end, moment(meeting.endTime)],
    meeting.deletedOn && [fact.deleted, [moment(meeting.deletedOn), h("span", { class: "quiet" }, " · "), named(meeting.deletedBy, 24)]],
    meeting.sessionId && [fact.session, h("code", {}, named(meeting.sessionId, 28))],
    yes(meeting.endToEndEncryption, fact.encryption),
    yes(meeting.isArchived, fact.recorded),
    meeting.uploadTarget && [fact.target, named(meeting.uploadTarget, 30)],
  ]
    .filter(Boolean)
    .map(([label, value]) => h("div", {}, h("dt", {}, label), h("dd", {}, value)));
}

/** Link to what other views say of the meeting, as far as the token may see it. */
function related(link) {
  const to = [
    ["GetWebhookEvents", "webhooks", text.relatedWebhooks],
    ["GetEvents", "events", text.relatedEvents],
    ["GetAuditEntries", "audit", text.relatedAudit],
  ].filter(([permission]) => session.can(permission));
  if (to.length === 0) return null;
  return h(
    "p",
    { class: "related small" },
    to.map(([, view_, label]) => h("a", { href: href(view_, [], { meetingLink: link }) }, icon(view_), label)),
  );
}

function doorOf(meeting, signal) {
  const parts = [
    session.can("GenerateMeetingToken") && invitations(meeting, signal),
    session.can("ModerateMeeting") && session.provider(meeting.provider).features.includes("moderation") && bans(meeting, signal),
  ].filter(Boolean);
  return { elements: parts.map((one) => one.element), refresh: () => parts.forEach((one) => one.refresh()) };
}
