// The card beside a bar: exact times, the connection, the reason, and why.

import { h, put } from "../dom.js";
import { exactly, inUtc, length, size } from "../format.js";
import { words } from "../words.js";
import { streamsOf, written } from "../elements/evidence.js";
import { named } from "../elements/name.js";
import { explainedBy } from "./model.js";

const WHY_AFTER_MS = 250;
const { card: text } = words.timeline;

export class TimelineCard {
  /** @param why reads the explanation of an attendee; null where the token may not. */
  constructor(timeline, why) {
    this.timeline = timeline;
    this.why = why;
    this.element = h("div", { class: "card-beside", hidden: true });
    timeline.append(this.element);
  }

  hide() {
    this.element.hidden = true;
    this.shown = null;
    clearTimeout(this.due);
  }

  /** Show the card of a bar beside it, where the pointer is or the middle of what can be seen of it. */
  showAt(found, clientX = null) {
    if (this.shown === found.bar) return;
    clearTimeout(this.due);
    this.shown = found.bar;
    const why = h("p", { class: "because" });
    put(this.element, found.row.kind === "recording" ? recording(found.row.archive, found.bar) : connection(found, why));
    this.element.hidden = false;
    this.place(found.element, clientX);
    if (found.row.kind !== "person" || !this.why) return;
    this.due = setTimeout(async () => {
      const explained = await this.why(explainedBy(found.row.attendee)).catch(() => null);
      const one = explained?.connections.find((each) => each.id === found.bar.id);
      if (this.shown !== found.bar || !one) return;
      put(why, written(one.decision));
      this.place(found.element, clientX);
    }, WHY_AFTER_MS);
  }

  place(bar, clientX) {
    const around = this.timeline.getBoundingClientRect();
    const visible = this.timeline.scroller.getBoundingClientRect();
    const box = bar.getBoundingClientRect();
    const from = Math.max(box.left, visible.left);
    const to = Math.min(box.right, visible.right);
    const x = (clientX ?? (from + to) / 2) - around.left;
    const { offsetWidth: width, offsetHeight: height } = this.element;
    const left = Math.min(Math.max(x - width / 2, 8), around.width - width - 8);
    const isBelow = box.bottom + height + 16 < innerHeight || box.top < height + 16;
    const top = isBelow ? box.bottom - around.top + 6 : box.top - around.top - height - 6;
    this.element.style.transform = `translate(${Math.max(left, 0)}px, ${top}px)`;
  }
}

const term = (label, ...value) => [h("dt", {}, label), h("dd", {}, value)];

const exact = (time, guess) => [exactly(new Date(time)), guess, h("span", { class: "quiet small" }, inUtc(new Date(time)))];

function connection({ row, bar }, why) {
  const reason = bar.reason && (words.reasons[bar.reason] ?? bar.reason);
  const guess = (isInferred) => isInferred && h("span", { class: "guess" }, text.inferred);
  return [
    h("h3", {}, named(row.name, 36)),
    h(
      "dl",
      {},
      term(text.joined, bar.joined === null ? words.timeline.unknownJoin : exact(bar.from, guess(bar.isJoinInferred))),
      term(text.left, bar.isOpen ? text.still : exact(bar.to, guess(bar.isInferred))),
      bar.joined !== null && term(text.length, length((bar.to - bar.from) / 1000)),
      reason && term(text.reason, named(reason, 90)),
      bar.streams.length > 0 && term(text.streams, streamsOf(bar)),
      term(text.connection, h("code", {}, named(bar.id, 24))),
    ),
    why,
  ];
}

const recording = (archive, bar) => [
  h("h3", {}, named(archive.name || words.archive.untitled, 36)),
  h(
    "dl",
    {},
    term(text.status, words.archive.status[archive.status]),
    term(text.joined, exact(bar.from)),
    archive.durationSeconds !== null && term(text.length, length(archive.durationSeconds)),
    archive.sizeBytes !== null && term(text.size, size(archive.sizeBytes)),
  ),
];
