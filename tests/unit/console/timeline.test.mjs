// The pure modules of the timeline and of formats, under `node --test`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { calm, cut, day, isVisible, length, percent, size } from "../../../videoconf/pages/console/format.js";
import { csvOf, escaped } from "../../../videoconf/pages/console/timeline/file.js";
import { lanesOf, timelineOf } from "../../../videoconf/pages/console/timeline/model.js";
import { moved, resized, revealed, scaleOf, ticks, toTime, toX, zoomed } from "../../../videoconf/pages/console/timeline/scale.js";

const connection = (joined, left, more = {}) => ({ id: "c1", joined, left, reason: null, inferred: false, joinInferred: false, ...more });
const person = (...connections) => ({ attendee: "p", name: "P", connections });
const MEETING = { endTime: null, status: "open" };
const AT = Date.parse("2026-03-01T12:00:00Z");

test("zoom keeps the moment beneath the pointer and stays within the span", () => {
  let scale = scaleOf([0, 1000000], 500);
  const before = toTime(scale, 100);
  scale = zoomed(scale, 0.5, 100);
  assert.ok(Math.abs(toTime(scale, 100) - before) < 1e-6);
  for (let turn = 0; turn < 50; turn += 1) scale = zoomed(scale, 1.7, 400);
  assert.deepEqual([scale.from, scale.to], [0, 1000000]);
  for (let turn = 0; turn < 90; turn += 1) scale = zoomed(scale, 0.6, 0);
  assert.equal(scale.to - scale.from, 10000);
});

test("moving never leaves the span", () => {
  const scale = zoomed(scaleOf([0, 1000000], 500), 0.1, 250);
  assert.equal(moved(scale, -1e9).from, 0);
  assert.equal(moved(scale, 1e9).to, 1000000);
});

test("a span that grows is shown whole only to who saw all of it", () => {
  const all = scaleOf([0, 1000], 100);
  assert.equal(resized(all, [0, 2000], 100).to, 2000);
  const part = zoomed(scaleOf([0, 1000000], 100), 0.5, 0);
  assert.equal(resized(part, [0, 2000000], 100).to, part.to);
});

test("a bar outside what is shown is moved into it", () => {
  const scale = zoomed(scaleOf([0, 1000000], 500), 0.1, 0);
  const shown = revealed(scale, 800000, 820000);
  assert.ok(toX(shown, 800000) >= 0 && toX(shown, 820000) <= 500);
  assert.equal(revealed(shown, 800000, 820000), shown);
});

test("ticks are not closer than their labels", () => {
  for (const span of [20000, 3600000, 86400000, 86400000 * 400]) {
    const scale = scaleOf([AT, AT + span], 900);
    const { times } = ticks(scale);
    assert.ok(times.length > 0 && times.length < 14, `${times.length} ticks`);
    for (let place = 1; place < times.length; place += 1) assert.ok(toX(scale, times[place]) - toX(scale, times[place - 1]) >= 75);
  }
});

test("a connection without a leave lasts until now, one without a join is a point", () => {
  const attendees = [person(connection("2026-03-01T11:00:00Z", null)), person(connection(null, "2026-03-01T11:30:00Z"))];
  const { rows } = timelineOf({ meeting: MEETING, attendees, now: AT });
  assert.deepEqual([rows[0].bars[0].to, rows[0].bars[0].isOpen], [AT, true]);
  assert.deepEqual([rows[1].bars[0].from, rows[1].bars[0].isPoint], [rows[1].bars[0].to, true]);
});

test("a clock that is ahead makes no bar that ends before it begins", () => {
  const { rows } = timelineOf({ meeting: MEETING, attendees: [person(connection("2026-03-01T13:00:00Z", null))], now: AT });
  assert.ok(rows[0].bars[0].to >= rows[0].bars[0].from);
});

test("bars that overlap lie in lanes, and bars that touch in one", () => {
  const bars = [[0, 10], [5, 8], [10, 20]].map(([from, to]) => ({ from, to }));
  assert.deepEqual(lanesOf(bars), { lanes: [0, 1, 0], count: 2 });
});

test("an empty meeting has a span", () => {
  const { span } = timelineOf({ meeting: MEETING, attendees: [], now: AT });
  assert.ok(span[0] < AT && span[1] > AT);
});

test("CSV quotes what it must and lets no formula through", () => {
  const attendees = [{ attendee: "=1+1", name: 'a "b", c\nd', connections: [connection("2026-03-01T11:00:00Z", "2026-03-01T11:00:30Z")] }];
  const text = csvOf(timelineOf({ meeting: MEETING, attendees, now: AT }));
  assert.match(text, /\r\n'=1\+1,"a ""b"", c\nd",2026-03-01T11:00:00.000Z,false,2026-03-01T11:00:30.000Z,false,30,,c1,\r\n$/);
});

test("CSV defuses what a spreadsheet runs behind a separator or what it skips", () => {
  const cellOf = (name) => {
    const text = csvOf(timelineOf({ meeting: MEETING, attendees: [{ attendee: "p", name, connections: [connection(null, null)] }], now: AT }));
    return text.slice(text.indexOf("\r\np,") + 4).replace(/,[^,"]*(,[^,"]*){7}\r\n$/, "");
  };
  assert.equal(cellOf("x;=cmd|' /C calc'!A0;y"), "x;'=cmd|' /C calc'!A0;y");
  assert.equal(cellOf("x\t@SUM(1)"), "x\t'@SUM(1)");
  assert.equal(cellOf(" =1+1"), "' =1+1");
  assert.equal(cellOf("\uff1d1+1"), "'\uff1d1+1");
  assert.equal(cellOf('a; "+1'), '"a;\' ""+1"');
  assert.equal(cellOf("Anna-Lena; Bo"), "Anna-Lena; Bo");
});

test("XML has no markup and no character that it cannot hold", () => {
  assert.equal(escaped("<b>&\"'\u0000\ud800</b>"), "&lt;b&gt;&amp;&quot;&apos;&lt;/b&gt;");
});

test("a long name is cut in its middle, between characters as readers see them", () => {
  assert.equal(cut("abc", 10), "abc");
  const family = "👩‍👩‍👧‍👦";
  const short = cut(family.repeat(30), 11);
  assert.ok([...short.replace("…", "").matchAll(/👩‍👩/gu)].length >= 8);
  assert.ok(cut("x".repeat(100000), 20).length === 20);
  assert.ok(cut(`Z${"\u0301".repeat(900)}`, 20).length < 200);
});

test("a name of zero-width characters is not visible, and one of signs is", () => {
  for (const name of ["", " ", "\u200b\u200d", "\u00a0\u2060", "\u3164", "\u0301"]) assert.equal(isVisible(name), false, JSON.stringify(name));
  for (const name of ["a", "—", "👍", "ع"]) assert.equal(isVisible(name), true);
  assert.equal(calm("a\u202eb\nc"), "a b c");
});

test("lengths, sizes and shares are short", () => {
  assert.deepEqual([length(45), length(720), length(3840), length(86400 * 3)], ["45 s", "12 min", "1 h 04 min", "3 d 0 h"]);
  assert.deepEqual([size(999), size(1500), size(353000000)], ["999 B", "1.5 KB", "353 MB"]);
  assert.deepEqual([percent(0.9999), percent(1), percent(0.29)], ["99 %", "100 %", "29 %"]);
});

test("days are reported by the calendar of the viewer", () => {
  const now = new Date(2026, 2, 1, 0, 10);
  assert.equal(day(new Date(2026, 1, 28, 23, 59), now), "yesterday");
  assert.equal(day(new Date(2026, 2, 1, 23, 59), now), "today");
  assert.equal(day(new Date(2026, 2, 2), now), "tomorrow");
});
