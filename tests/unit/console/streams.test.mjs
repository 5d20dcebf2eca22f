// What the timeline draws of streams, under `node --test`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { csvOf, svgOf } from "../../../videoconf/pages/console/timeline/file.js";
import { timelineOf } from "../../../videoconf/pages/console/timeline/model.js";
import { marksOf, reportsOf } from "../../../videoconf/pages/console/timeline/streams.js";

const MEETING = { endTime: null, status: "open" };
const AT = Date.parse("2026-03-01T12:00:00Z");
const at = (minute) => (minute === null ? null : `2026-03-01T11:${String(minute).padStart(2, "0")}:00Z`);

/** A timeline of one person, there from minute 10 to 50, with streams given as [id, published, gone]. */
const shown = (streams, more = {}) => {
  const sent = streams.map(([id, published, gone]) => ({ id, publishedOn: at(published), goneOn: at(gone) }));
  const connection = { id: "c1", joined: at(10), left: at(50), reason: null, inferred: false, joinInferred: false, ...(streams ? { streams: sent } : {}), ...more };
  return timelineOf({ meeting: MEETING, attendees: [{ attendee: "p", name: "P", connections: [connection] }], now: AT });
};
const barOf = (...streams) => shown(streams).rows[0].bars[0];
const x = (time) => (time - Date.parse(at(0))) / 60000; // a pixel for each minute
const spanOf = ({ from, to }) => [x(from), x(to)];

test("a stream lasts until it is gone, else until its connection leaves", () => {
  const { streams } = barOf(["camera", 12, 30], ["screen", 14, null], ["again", 40, 20]);
  assert.deepEqual(streams.map(spanOf), [[12, 30], [14, 50], [40, 50]]);
});

test("reports of a stream come in the order of their times", () => {
  const { streams } = barOf(["camera", 40, 20], ["lost", null, 30], ["screen", 12, 12]);
  assert.deepEqual(streams.map((one) => reportsOf(one).map(([what, time]) => [what, x(time)])), [
    [["gone", 20], ["published", 40]],
    [["gone", 30]],
    [["published", 12], ["gone", 12]],
  ]);
});

test("a dot stands where a stream was published and a stroke where it was gone", () => {
  const [camera, lost] = marksOf(barOf(["camera", 20, 30], ["lost", null, 40]), x, 0, 14);
  assert.equal(camera.dot.cx, 20);
  assert.match(camera.path, /^M20 [\d.]+H30M30 /);
  assert.equal(lost.dot, null);
  assert.match(lost.path, /^M40 [\d.]+v7$/);
});

test("marks stay within their bar, and at most three streams have some", () => {
  const marks = marksOf(barOf(["a", 10, 50], ["b", 5, 55], ["c", 11, null], ["d", 12, null]), x, 0, 14);
  assert.equal(marks.length, 3);
  for (const { dot } of marks) assert.ok(dot.cx >= 13 && dot.cx <= 47);
});

test("a thin bar has lines and dots alone", () => {
  const [mark] = marksOf(barOf(["camera", 20, 30]), x, 0, 5);
  assert.ok(!mark.path.includes("v"));
  assert.ok(mark.dot.r <= 2.5);
});

test("a connection read without streams has an empty list of them", () => {
  const { rows } = shown([], { streams: undefined });
  assert.deepEqual(rows[0].bars[0].streams, []);
});

test("CSV lists streams with their times, and lets no formula through", () => {
  const text = csvOf(shown([["=cmd", 12, 30], ["screen", 14, null]]));
  const iso = (minute) => new Date(at(minute)).toISOString();
  assert.ok(text.includes(`"'=cmd: published ${iso(12)}, gone ${iso(30)}; screen: published ${iso(14)}"`), text);
});

test("SVG draws streams within their bars", () => {
  const colours = { ground: "white", ink: "black", quiet: "grey", line: "grey", accent: "blue", bad: "red" };
  const text = svgOf(shown([["camera", 12, 30], ["lost", null, 40]]), "A meeting", colours);
  assert.equal(text.match(/<circle/g).length, 1);
  assert.equal(text.match(/stroke="white"\/>/g).length, 2);
  assert.ok(!text.includes("NaN"));
});
