// A person: the meetings they were at, and what is stored of them, to export or to erase.

import { get, remove, save, saveText } from "../api.js";
import { h, icon, put } from "../dom.js";
import { length } from "../format.js";
import { href } from "../route.js";
import { session } from "../session.js";
import { words } from "../words.js";
import { confirm } from "../elements/dialog.js";
import { named } from "../elements/name.js";
import { list } from "../elements/list.js";
import { page, section } from "../elements/page.js";
import { tell } from "../elements/toast.js";
import { moment } from "../elements/time.js";

const { person: text } = words;

export function view({ ids: [attendee = ""] }) {
  const parts = [];
  const totals = h("p", { class: "quiet" });
  let meetings = null;
  if (session.can("GetMeetingAttendees")) {
    meetings = meetingsOf(attendee, totals);
    const csv = h("button", { class: "button plain", type: "button", onclick: () => save("/attendance", { attendee }, "text/csv", "attendance.csv") }, icon("download"), text.csv);
    parts.push(section(text.meetings, csv, totals, meetings));
  }
  if (session.can("ManagePersons")) parts.push(personalData(attendee, () => meetings?.refresh()));
  return { title: text.title, content: page([named(attendee, 60)], { intro: text.title }, parts) };
}

function meetingsOf(attendee, totals) {
  const canOpen = session.can("GetMeetings");
  const shown = list({
    caption: text.meetings,
    key: (one) => one.meetingLink,
    load: async (cursor, signal) => ({ items: await get("/attendance", { attendee }, signal), next: null }),
    columns: [
      { label: text.columns.meeting, kind: "main", cell: (one) => meetingCell(one, canOpen) },
      { label: text.columns.first, kind: "labelled", cell: (one) => moment(one.firstJoin) },
      { label: text.columns.last, kind: "labelled", cell: (one) => (one.active ? h("span", { class: "state good" }, words.attendance.here) : moment(one.lastLeave)) },
      { label: text.columns.time, kind: "number", cell: (one) => length(one.totalSeconds) },
      { label: text.columns.joins, kind: "number labelled", cell: (one) => String(one.joinCount) },
    ],
    empty: () => ({ title: text.emptyTitle, text: text.emptyText }),
  });
  shown.addEventListener("read", ({ detail }) => {
    const seconds = detail.reduce((sum, one) => sum + one.totalSeconds, 0);
    put(totals, detail.length > 0 ? text.totals(detail.length, length(seconds)) : null);
  });
  return shown;
}

function meetingCell(one, canOpen) {
  const name = named(one.extId ?? one.meetingLink, 50);
  return canOpen ? h("a", { class: "title", href: href("meetings", one.meetingLink) }, name) : name;
}

function personalData(attendee, changed) {
  const exported = async () => {
    try {
      const stored = await get("/persons", { attendee });
      saveText(JSON.stringify(stored, null, 2), "application/json", "person.json");
      tell(text.exported);
    } catch (problem) {
      if (problem.status === undefined) throw problem;
      tell(problem.message || words.states.unreachable);
    }
  };
  const erase = async () => {
    const wasDone = await confirm({
      title: text.eraseTitle,
      text: text.eraseText,
      button: text.erase,
      typed: attendee,
      isDangerous: true,
      done: (answer) => text.erased(answer.connections),
      act: () => remove("/persons", { attendee }),
    });
    if (wasDone) changed();
  };
  return section(
    text.data,
    null,
    h("p", { class: "quiet" }, text.dataText),
    h("div", { class: "actions" }, h("button", { class: "button", type: "button", onclick: exported }, icon("download"), text.export), h("button", { class: "button danger", type: "button", onclick: erase }, text.erase)),
  );
}
