// <vc-timeline>: a row for each person, a bar for each connection, dashed where inferred. Wheel and pinch zoom, drag
// moves, arrow keys go from bar to bar. Only the rows that can be seen are in the page.
//
// `data` is what timelineOf() makes. It says `explain` with a row that a person chose.

import { h, icon, put, svg } from "../dom.js";
import { clock, day, exactClock } from "../format.js";
import { words } from "../words.js";
import { lanesOf } from "../timeline/model.js";
import { isDays, isSeconds, moved, resized, revealed, scaleOf, ticks, toX, zoomed } from "../timeline/scale.js";
import { TimelineCard } from "../timeline/card.js";
import { marksOf } from "../timeline/streams.js";
import { gestures } from "../timeline/gestures.js";
import { reasonOf } from "./evidence.js";
import { named } from "./name.js";
import { Part } from "./part.js";

export const ROW = 32;
const BAR = 14;
const ALL_DRAWN = 200; // up to so many rows, each is in the page
const AROUND = 12; // rows above and below those that can be seen
const { timeline: text } = words;

customElements.define(
  "vc-timeline",
  class extends Part {
    focused = null;

    show(signal) {
      this.axis = svg("svg", { class: "axis", "aria-hidden": "true", height: 28 });
      this.labels = h("div", { class: "labels" });
      this.chart = svg("svg", { class: "chart", role: "group", "aria-label": text.label(this.getAttribute("caption")), "aria-describedby": "timeline-help" });
      this.canvas = h("div", { class: "canvas" }, this.labels, h("div", { class: "bars" }, this.chart));
      this.scroller = h("div", { class: "scroller" }, h("div", { class: "top" }, h("div", { class: "corner" }), h("div", { class: "bars" }, this.axis)), this.canvas);
      put(this, this.scroller, h("p", { class: "spoken", id: "timeline-help" }, text.help));
      this.card = new TimelineCard(this, this.explain);
      this.scroller.addEventListener("scroll", () => this.later(), { signal, passive: true });
      this.chart.addEventListener("keydown", (event) => this.onKey(event));
      this.chart.addEventListener("focusin", (event) => this.onFocus(event.target.closest("[data-bar]")));
      this.chart.addEventListener("focusout", () => this.card.hide());
      this.chart.addEventListener("pointerover", (event) => this.onHover(event));
      this.chart.addEventListener("pointerleave", () => this.card.hide());
      this.chart.addEventListener("click", (event) => !this.wasDragged && this.choose(this.barAt(event.target.closest("[data-bar]"))));
      gestures(this, this.scroller, signal);
      const sizes = new ResizeObserver(() => this.fit());
      sizes.observe(this.scroller);
      signal.addEventListener("abort", () => sizes.disconnect());
      this.fit();
    }

    /** Take other data; what is shown of the time stays. */
    set data(value) {
      this.known = value;
      this.places = new Map();
      if (this.scale) this.fit();
    }

    get data() {
      return this.known;
    }

    /** Colour who counts: the keys of rows that do not. */
    set absent(keys) {
      this.absentKeys = keys;
      if (this.scale) this.draw();
    }

    get width() {
      return Math.max(this.axis.parentElement.clientWidth, 120);
    }

    fit() {
      const { span } = this.data;
      const width = this.width;
      this.scale = this.scale ? resized(this.scale, span, width) : scaleOf(span, width);
      this.canvas.style.height = `${this.data.rows.length * ROW}px`;
      this.draw();
    }

    showAll() {
      this.rescale(scaleOf(this.data.span, this.width));
    }

    zoom(factor, x = this.width / 2) {
      this.rescale(zoomed(this.scale, factor, x));
    }

    move(pixels) {
      this.rescale(moved(this.scale, pixels));
    }

    rescale(scale) {
      this.scale = scale;
      this.card.hide();
      this.later();
    }

    /** Draw with the next frame, however often it is asked for until then. */
    later() {
      this.frame ??= requestAnimationFrame(() => {
        this.frame = null;
        if (this.isConnected) this.draw();
      });
    }

    /** Return the rows to draw: all of few, and of many those that can be seen. */
    window() {
      const count = this.data.rows.length;
      if (count <= ALL_DRAWN) return [0, count];
      const { scrollTop, clientHeight } = this.scroller;
      return [Math.max(0, Math.floor(scrollTop / ROW) - AROUND), Math.min(count, Math.ceil((scrollTop + clientHeight) / ROW) + AROUND)];
    }

    draw() {
      const [first, last] = this.window();
      const { rows, ended, now } = this.data;
      const height = (last - first) * ROW;
      this.drawAxis();
      this.labels.style.transform = this.chart.style.transform = `translateY(${first * ROW}px)`;
      this.chart.setAttribute("width", this.scale.width);
      this.chart.setAttribute("height", height);
      const isFocused = this.chart.contains(document.activeElement);
      const drawn = rows.slice(first, last);
      const lines = this.marks.map((time) => this.line("tick", time, height));
      if (ended !== null) lines.push(this.line("end", ended, height));
      else if (now !== null) lines.push(this.line("now", now, height));
      put(this.chart, lines, drawn.map((row, place) => this.row(row, first + place, place * ROW)));
      if (this.labelled !== rows || this.labelledFrom !== first || this.labelledTo !== last || this.labelledAbsent !== this.absentKeys) {
        put(this.labels, drawn.map((row) => this.label(row)));
        Object.assign(this, { labelled: rows, labelledFrom: first, labelledTo: last, labelledAbsent: this.absentKeys });
      }
      if (isFocused) this.element(this.focused)?.focus({ preventScroll: true });
    }

    drawAxis() {
      const { times, step } = ticks(this.scale);
      this.marks = times;
      const write = isDays(step) ? day : isSeconds(step) ? exactClock : clock;
      this.axis.setAttribute("width", this.scale.width);
      put(
        this.axis,
        times.map((time) => {
          const x = toX(this.scale, time);
          const isAtEdge = x < 24 || x > this.scale.width - 24;
          return isAtEdge ? null : svg("text", { x, y: 19, "text-anchor": "middle" }, write(new Date(time)));
        }),
      );
    }

    line(kind, time, height) {
      const x = Math.round(toX(this.scale, time)) + 0.5;
      if (x < 0 || x > this.scale.width) return null;
      return svg("path", { class: kind, d: `M${x} 0V${height}` });
    }

    row(row, index, top) {
      const isAbsent = this.absentKeys?.has(row.key);
      const { lanes, count } = lanesOf(row.bars);
      const thick = count === 1 ? BAR : Math.max((ROW - 8) / count, 3);
      const start = top + (ROW - thick * count) / 2;
      return svg(
        "g",
        { class: `row ${row.kind} ${isAbsent ? "absent" : ""}` },
        row.bars.map((bar, place) => this.bar(row, bar, [index, place], start + lanes[place] * thick, thick - (count > 1 ? 1 : 0))),
      );
    }

    bar(row, bar, [index, place], top, thick) {
      const x = Math.max(toX(this.scale, bar.from), -8);
      const end = Math.min(toX(this.scale, bar.to), this.scale.width + 8);
      if (end < -4 || x > this.scale.width + 4) return null;
      const width = Math.max(end - x, 3);
      const dashed = bar.isInferred || bar.isJoinInferred || bar.isPoint;
      const isTab = this.focused ? this.focused[0] === index && this.focused[1] === place : index === 0 && place === 0;
      return svg(
        "g",
        {
          class: `bar ${dashed ? "inferred" : ""} ${bar.isOpen ? "open" : ""}`,
          "data-bar": `${index}.${place}`,
          role: "button",
          tabindex: isTab ? 0 : -1,
          "aria-label": this.spoken(row, bar),
        },
        svg("rect", { class: "hit", x: x - 2, y: top - 4, width: width + 4, height: thick + 8 }),
        svg("rect", { class: "fill", x, y: top + 0.5, width, height: Math.max(thick - 1, 2), rx: Math.min(4, thick / 2) }),
        row.kind === "person" && this.streams(bar, top, thick),
        bar.isInferred && thick >= 10 && width > 24 && svg("text", { class: "why", x: end + 4, y: top + thick - 3 }, "?"),
      );
    }

    streams(bar, top, thick) {
      const marks = marksOf(bar, (time) => toX(this.scale, time), top, thick);
      return marks.map(({ path, dot }) => [svg("path", { class: "stream", d: path }), dot && svg("circle", { class: "published", ...dot })]);
    }

    spoken(row, bar) {
      const name = row.kind === "recording" ? text.recording : (row.name ?? words.name.anonymous);
      const from = bar.joined === null ? text.unknownJoin : exactClock(new Date(bar.from));
      const to = bar.isOpen ? text.stillThere : exactClock(new Date(bar.to));
      const streams = bar.streams?.length ? text.streams(bar.streams.length) : "";
      return text.bar(name.slice(0, 120), from, to, streams, bar.isInferred ? text.card.inferred : reasonOf(bar));
    }

    label(row) {
      const isAbsent = this.absentKeys?.has(row.key);
      const name = row.kind === "recording" ? [h("span", { class: "rec" }), named(row.name || text.recording, 22)] : named(row.name, 22);
      return h("div", { class: `label ${row.kind} ${isAbsent ? "absent" : ""}` }, name);
    }

    // --- focus, hover, keys -------------------------------------------------------------------------------------------

    element(where) {
      return where && this.chart.querySelector(`[data-bar="${where.join(".")}"]`);
    }

    barAt(element) {
      if (!element) return null;
      const [index, place] = element.dataset.bar.split(".").map(Number);
      return { row: this.data.rows[index], bar: this.data.rows[index].bars[place], where: [index, place], element };
    }

    onFocus(element) {
      const found = this.barAt(element);
      if (found === null) return;
      this.element(this.focused)?.setAttribute("tabindex", -1);
      this.focused = found.where;
      element.setAttribute("tabindex", 0);
      this.card.showAt(found);
    }

    onHover(event) {
      if (event.pointerType === "touch" || this.isDragging) return;
      const found = this.barAt(event.target.closest("[data-bar]"));
      if (found) this.card.showAt(found, event.clientX);
      else this.card.hide();
    }

    choose(found) {
      if (found?.row.kind === "person") this.announce("explain", found.row);
    }

    onKey(event) {
      const [index, place] = this.focused ?? [0, 0];
      const steps = {
        ArrowRight: () => this.goTo(index, place + 1),
        ArrowLeft: () => this.goTo(index, place - 1),
        ArrowDown: () => this.goTo(index + 1, 0),
        ArrowUp: () => this.goTo(index - 1, 0),
        Home: () => this.goTo(0, 0),
        End: () => this.goTo(this.data.rows.length - 1, 0),
        "+": () => this.zoom(0.7),
        "=": () => this.zoom(0.7),
        "-": () => this.zoom(1.4),
        0: () => this.showAll(),
        Escape: () => this.card.hide(),
        Enter: () => this.choose(this.barAt(this.element(this.focused))),
        " ": () => this.choose(this.barAt(this.element(this.focused))),
      };
      const step = steps[event.key];
      if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      step();
    }

    /** Move the focus to a bar; beyond the ends of a row to the rows around it. */
    goTo(index, place) {
      const { rows } = this.data;
      let [row, bar] = [index, place];
      if (bar < 0) [row, bar] = [row - 1, (rows[row - 1]?.bars.length ?? 0) - 1];
      if (row >= 0 && row < rows.length && bar >= rows[row].bars.length) [row, bar] = [row + 1, 0];
      if (row < 0 || row >= rows.length || bar < 0) return;
      this.focused = [row, bar];
      const top = row * ROW;
      const { scrollTop, clientHeight } = this.scroller;
      if (top < scrollTop || top + ROW > scrollTop + clientHeight - 28) this.scroller.scrollTop = top - clientHeight / 2;
      const chosen = rows[row].bars[bar];
      this.scale = revealed(this.scale, chosen.from, chosen.to);
      this.draw();
      this.element(this.focused)?.focus({ preventScroll: true });
    }
  },
);

/** Make the buttons beside the title of a timeline. */
export const zoomButtons = (timeline) =>
  [
    [text.zoomOut, "minus", () => timeline().zoom(1.4)],
    [text.zoomIn, "plus", () => timeline().zoom(0.7)],
    [text.fit, "fit", () => timeline().showAll()],
  ].map(([label, name, onclick]) => h("button", { class: "button plain square", type: "button", "aria-label": label, title: label, onclick }, icon(name)));
