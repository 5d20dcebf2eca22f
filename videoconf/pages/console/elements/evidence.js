// The explanation of "Why?", and the connections of a timeline as a table, for example for screen readers.

import { h } from "../dom.js";
import { count, exactClock, inUtc, length } from "../format.js";
import { words } from "../words.js";
import { reportsOf } from "../timeline/streams.js";
import { named } from "./name.js";
import { moment } from "./time.js";

const AT_ONCE = 200;
const MOST_STREAMS = 4;

const TIME = /(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)/;

/** Write a sentence of the service with its times in the viewer's zone. */
export const written = (sentence) => sentence.split(TIME).map((piece, place) => (place % 2 === 1 ? moment(piece, true) : piece));

/** Write an explanation: for each connection what is known, what decided, what follows. */
export function explanation(found) {
  const { why } = words;
  return [
    h("p", { class: "verdict" }, written(found.result)),
    found.connections.map((one, place) =>
      h(
        "section",
        { class: "because-of" },
        h("h3", {}, why.connection(place + 1), " ", h("code", { class: "quiet" }, named(one.id, 22))),
        h("h4", {}, why.evidence),
        h("ul", {}, one.evidence.map((sentence) => h("li", {}, written(sentence)))),
        h("h4", {}, why.decision),
        h("p", {}, written(one.decision)),
        h("h4", {}, why.result),
        h("p", {}, written(one.result)),
      ),
    ),
    h("p", { class: "quiet small" }, why.as(""), moment(found.explainedOn, true)),
  ];
}

/** Say a reason in words: the provider's where there are no better ones. */
export const reasonOf = (bar) => (bar.reason ? (words.reasons[bar.reason] ?? bar.reason.slice(0, 60)) : "");

/** Name what a connection sent, with the latest reports of each stream. */
export function streamsOf({ streams }) {
  const { published, gone, others } = words.timeline.stream;
  const said = { published, gone };
  const report = ([what, time], place) => {
    const date = new Date(time);
    const at = h("time", { datetime: date.toISOString(), title: inUtc(date) }, exactClock(date));
    return [place === 0 ? " " : ", ", h("span", { class: "report" }, said[what], " ", at)];
  };
  const line = (stream) => h("div", { class: "sent" }, named(stream.id, 20), reportsOf(stream).map(report));
  const more = streams.length - MOST_STREAMS;
  return [streams.slice(0, MOST_STREAMS).map(line), more > 0 && h("div", { class: "quiet" }, others(count(more)))];
}

/** Make the table of all connections, closed at first; a part of it is drawn when it is opened. */
export function connectionTable({ rows }, isOpen, toggled) {
  const { timeline } = words;
  const connections = rows.filter((row) => row.kind === "person").flatMap((row) => row.bars.map((bar) => ({ row, bar })));
  const people = new Set(connections.map(({ row }) => row)).size;
  const place = h("div");
  const details = h("details", { class: "as-table" }, h("summary", {}, timeline.table, h("span", { class: "quiet small" }, timeline.rows(people, connections.length))), place);
  let drawn = 0;
  const draw = () => {
    const { columns } = timeline;
    if (drawn === 0) {
      const heads = [columns.name, columns.joined, columns.left, columns.length, columns.reason, columns.streams, columns.connection];
      place.append(
        h("table", { class: "list", role: "table", "aria-label": timeline.table }, h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads.map((head) => h("th", { role: "columnheader", scope: "col" }, head)))), h("tbody", { role: "rowgroup" })),
        h("button", { class: "button more", type: "button", onclick: draw }, words.list.more),
      );
    }
    place.querySelector("tbody").append(...connections.slice(drawn, drawn + AT_ONCE).map(tableRow));
    drawn = Math.min(drawn + AT_ONCE, connections.length);
    place.querySelector(".more").hidden = drawn >= connections.length;
  };
  details.addEventListener("toggle", () => {
    toggled(details.open);
    if (details.open && drawn === 0) draw();
  });
  details.open = Boolean(isOpen);
  return details;
}

function tableRow({ row, bar }) {
  const { columns, card, stillThere, unknownJoin } = words.timeline;
  const guess = (isInferred) => isInferred && [" ", h("span", { class: "guess" }, card.inferred)];
  const iso = (time) => new Date(time).toISOString();
  const cell = (label, ...content) => h("td", { role: "cell", class: "labelled", "data-label": label }, content);
  const wide = (label, ...content) => h("td", { role: "cell", class: "labelled wraps", "data-label": label }, content);
  return h(
    "tr",
    { role: "row" },
    h("td", { role: "cell", "data-label": columns.name, class: "main" }, named(row.name, 36)),
    wide(columns.joined, bar.joined === null ? unknownJoin : moment(iso(bar.joined), true), guess(bar.isJoinInferred)),
    wide(columns.left, bar.isOpen ? stillThere : moment(iso(bar.to), true), guess(bar.isInferred)),
    cell(columns.length, bar.joined === null ? words.nothing : length((bar.to - bar.from) / 1000)),
    wide(columns.reason, reasonOf(bar) || words.nothing),
    wide(columns.streams, bar.streams.length > 0 ? streamsOf(bar) : words.nothing),
    cell(columns.connection, h("code", {}, named(bar.id, 20))),
  );
}

