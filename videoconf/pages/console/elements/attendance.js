// Who was there: the timeline, the presence rule as a slider, and a table of people with the reasons for each.

import { at, get, save, saveText } from "../api.js";
import { h, icon, put } from "../dom.js";
import { count, length, percent } from "../format.js";
import { href } from "../route.js";
import { words } from "../words.js";
import { csvOf, svgOf } from "../timeline/file.js";
import { explainedBy, keyOf, timelineOf } from "../timeline/model.js";
import { allowed, personActions } from "../views/meeting-actions.js";
import { panel } from "./dialog.js";
import { named } from "./name.js";
import { section } from "./page.js";
import { empty, failed, loading } from "./state.js";
import { moment } from "./time.js";
import { connectionTable, explanation } from "./evidence.js";
import { zoomButtons } from "./timeline.js";

const { attendance: text } = words;
const AT_ONCE = 100; // rows of the table that are drawn; more on demand
const SETTLE_MS = 200;

export class Attendance {
  share = 0;
  shown = AT_ONCE;
  why = new Map();

  constructor(link, changed) {
    Object.assign(this, { link, changed });
    this.chart = h("div", { class: "timeline-place" });
    this.further = h("div");
    this.buttons = h("div", { class: "aside" });
    this.rule = this.slider();
    this.sum = h("p", { class: "sum", role: "status" });
    this.figures = h("dl", { class: "figures" });
    this.table = h("div");
    this.people = section(text.title, this.reportButton(), h("div", { class: "rule" }, this.rule, this.sum), this.figures, this.table);
    this.element = h("div", { class: "attendance" }, section(words.timeline.title, this.buttons, this.chart, this.further), this.people);
    this.element.addEventListener("explain", (event) => this.explain(event.detail.attendee));
  }

  /** Take what was read of the meeting; the slider, the zoom and the open parts stay as they are. */
  take({ meeting, attendees, report, archives }) {
    if (this.attendees && JSON.stringify(attendees) !== JSON.stringify(this.attendees)) this.why.clear();
    Object.assign(this, { meeting, attendees, report, archives });
    this.may = allowed({ meeting, attendees, archives });
    this.data = timelineOf({ meeting, attendees, archives: archives ?? [] });
    this.people.hidden = attendees.length === 0;
    if (attendees.length === 0) {
      this.timeline = null;
      put(this.buttons);
      put(this.further);
      put(this.chart, empty({ title: words.timeline.emptyTitle, text: words.timeline.emptyText }));
      return;
    }
    this.drawTimeline();
    put(this.further, connectionTable(this.data, this.isTableOpen, (isOpen) => (this.isTableOpen = isOpen)));
    this.drawFigures();
    if (this.share > 0) this.ask();
    else this.drawRule();
  }

  drawTimeline() {
    if (this.timeline) {
      this.timeline.data = this.data;
      return;
    }
    const caption = this.meeting.extId ?? words.meeting.untitled;
    const explain = (who) => this.explained(who);
    this.timeline = h("vc-timeline", { data: this.data, caption, explain });
    put(this.buttons, zoomButtons(() => this.timeline), this.download("csv"), this.download("svg"));
    put(this.chart, this.timeline, legend());
  }

  download(kind) {
    const { timeline } = words;
    const write = () => {
      const name = `timeline-${this.link}.${kind}`;
      if (kind === "csv") saveText(csvOf(this.data), "text/csv;charset=utf-8", name);
      else saveText(svgOf(this.data, this.meeting.extId ?? words.meeting.untitled, coloursOf(this.element)), "image/svg+xml", name);
    };
    return h("button", { class: "button plain", type: "button", "aria-label": timeline[`${kind}Label`], onclick: write }, icon("download"), timeline[kind]);
  }

  reportButton() {
    const rule = () => (this.share > 0 ? { minimumShare: this.share } : {});
    const onclick = () => save(at`/session/${this.link}/attendance`, rule(), "text/csv", `attendance-${this.link}.csv`);
    return h("button", { class: "button plain", type: "button", onclick }, icon("download"), text.report);
  }

  // --- who counts -----------------------------------------------------------------------------------------------------

  slider() {
    const output = h("output", { class: "number" }, percent(0));
    const input = h("input", { type: "range", min: 0, max: 100, step: 5, value: 0, "aria-label": text.rule });
    input.addEventListener("input", () => {
      this.share = input.value / 100;
      output.textContent = percent(this.share);
      input.setAttribute("aria-valuetext", `${percent(this.share)} ${text.ruleHint}`);
      this.drawRule();
      clearTimeout(this.due);
      this.due = setTimeout(() => this.ask(), SETTLE_MS);
    });
    return h("label", { class: "slider" }, h("span", {}, text.rule), input, output, h("span", { class: "quiet" }, text.ruleHint));
  }

  /** Ask the service who counts by the rule: it compares exact times, and the page only rounded ones. */
  async ask() {
    const share = this.share;
    const found = await get(at`/session/${this.link}/attendance`, share > 0 ? { minimumShare: share } : {}).catch(() => null);
    if (found === null || share !== this.share || !this.element.isConnected) return;
    this.report = found;
    this.drawRule(true);
  }

  drawRule(isExact = false) {
    const counts = (row) => (isExact || this.share === 0 ? row.present : row.share >= this.share);
    const rows = this.rows().map(({ attendee, row }) => ({ attendee, row, counts: row === null || counts(row) }));
    const present = rows.filter((one) => one.counts).length;
    put(this.sum, this.share === 0 ? text.any : [h("strong", {}, `${count(present)} / ${count(rows.length)}`), " ", text.outOf]);
    this.timeline.absent = new Set(rows.filter((one) => !one.counts).map((one) => keyOf(one.attendee)));
    this.drawTable(rows);
  }

  /** Put each attendee beside its row of the report: both come in one order. Null where they are of two moments. */
  rows() {
    const { attendees, report } = this;
    return attendees.map((attendee, place) => {
      const row = report.attendees[place];
      return { attendee, row: row && row.attendee === attendee.attendee && row.firstJoin === attendee.createdOn ? row : null };
    });
  }

  drawFigures() {
    const { report } = this;
    const figure = (label, ...value) => h("div", {}, h("dt", {}, label), h("dd", {}, value));
    put(
      this.figures,
      figure(text.people, count(report.attendeeCount)),
      figure(text.length, length(report.durationSeconds)),
      figure(text.peak, count(report.peakConcurrency), report.peakOn && h("span", { class: "quiet small" }, moment(report.peakOn))),
      figure(text.connections, count(report.connectionCount)),
    );
  }

  drawTable(rows) {
    const { columns } = text;
    const heads = [columns.name, columns.present, columns.time, columns.share, columns.joins, columns.first, columns.last];
    const open = this.table.querySelector("details[open]")?.closest("tr")?.dataset.key;
    const more = h("button", { class: "button more", type: "button", hidden: rows.length <= this.shown, onclick: () => ((this.shown += AT_ONCE), this.drawTable(rows)) }, words.list.more);
    put(
      this.table,
      h(
        "table",
        { class: "list people-table", role: "table", "aria-label": text.title },
        h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads.map((head, place) => h("th", { role: "columnheader", scope: "col", class: place === 3 || place === 4 ? "number" : "" }, head)), h("th", { role: "columnheader", scope: "col" }, h("span", { class: "spoken" }, words.list.actions)))),
        h("tbody", { role: "rowgroup" }, rows.slice(0, this.shown).map((one) => this.tableRow(one))),
      ),
      more,
    );
    if (open) [...this.table.querySelectorAll("tr")].find((row) => row.dataset.key === open)?.querySelector("details")?.setAttribute("open", "");
  }

  tableRow({ attendee, row, counts }) {
    const name = attendee.name ?? attendee.attendee;
    const who = attendee.attendee === null ? named(name, 36) : h("a", { class: "title", href: href("persons", attendee.attendee) }, named(name, 36));
    const cell = (label, content, kind = "") => h("td", { role: "cell", "data-label": label, class: kind }, content ?? words.nothing);
    const { columns } = text;
    const share = row === null ? null : row.share;
    return h(
      "tr",
      { role: "row", class: counts ? "" : "absent", "data-key": keyOf(attendee) },
      cell(columns.name, [who, attendee.name !== null && attendee.attendee !== null && h("span", { class: "quiet small" }, named(attendee.attendee, 24))], "main"),
      cell(columns.present, h("span", { class: `state ${counts ? "good" : "bad"}` }, attendee.active ? text.here : counts ? text.present : text.absent)),
      cell(columns.time, length(attendee.durationSeconds)),
      cell(columns.share, share !== null && [h("span", { class: "meter", "aria-hidden": "true" }, meter(share)), h("span", { class: "figure" }, percent(share))], "number share"),
      cell(columns.joins, count(attendee.connections.length), "number labelled"),
      cell(columns.first, moment(attendee.createdOn), "labelled"),
      cell(columns.last, attendee.active ? words.nothing : moment(row?.lastLeave ?? null), `labelled ${attendee.active ? "nothing" : ""}`),
      cell(words.list.actions, this.rowActions(attendee, name ?? words.name.anonymous), "acts"),
    );
  }

  rowActions(attendee, name) {
    const short = name.slice(0, 60);
    const why = h("button", { class: "button plain small", type: "button", "aria-label": text.whyOf(short), onclick: () => this.explain(attendee) }, text.why);
    if (!this.may.moderate) return why;
    const actions = personActions(this.link, attendee, short, this.changed);
    const menu = h(
      "details",
      { class: "menu" },
      h("summary", { class: "button plain square small", "aria-label": words.actions.of(short) }, icon("more")),
      h("div", { class: "panel" }, actions.map(([label, act]) => h("button", { type: "button", class: "choice", onclick: (event) => ((event.target.closest("details").open = false), act()) }, label))),
    );
    menu.addEventListener("focusout", (event) => !menu.contains(event.relatedTarget) && event.relatedTarget && (menu.open = false));
    menu.addEventListener("keydown", (event) => event.key === "Escape" && ((menu.open = false), menu.firstElementChild.focus()));
    return [why, menu];
  }

  // --- why ------------------------------------------------------------------------------------------------------------

  /** Read why an attendee shows as they do, once for what is known at this moment. */
  explained(who) {
    if (!this.why.has(who)) {
      const reading = get(at`/session/${this.link}/explanation`, { attendee: who });
      reading.catch(() => this.why.delete(who));
      this.why.set(who, reading);
    }
    return this.why.get(who);
  }

  explain(attendee) {
    const name = (attendee.name ?? attendee.attendee ?? words.name.anonymous).slice(0, 60);
    panel(
      words.why.title(name),
      () => {
        const place = h("div", { class: "why-body" }, loading(4));
        const read = () => this.explained(explainedBy(attendee)).then((found) => put(place, explanation(found)), (problem) => put(place, failed(problem, read)));
        read();
        return place;
      },
      "beside",
    );
  }
}

const meter = (share) => {
  const bar = h("span", { class: "filled" });
  bar.style.width = `${Math.min(100, share * 100)}%`;
  return bar;
};

const legend = () =>
  h(
    "p",
    { class: "legend quiet small" },
    ["here", "stream", "inferred", "gone", "recording"].map((name) => h("span", { class: `key ${name}` }, words.timeline.legend[name])),
    h("span", { class: "hint" }, words.timeline.hint),
  );

/** Read the page's colours, so that a file shows what the page shows. */
function coloursOf(element) {
  const probe = h("span");
  element.append(probe);
  const found = {};
  for (const name of ["ground", "ink", "quiet", "line", "accent", "bad"]) {
    probe.style.color = `var(--${name})`;
    found[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return found;
}

