// From what the API says of a meeting to what the timeline draws: rows of bars, all in milliseconds.

import { streamOf } from "./streams.js";

const ms = (at) => (at === null || at === undefined ? null : Date.parse(at));

/** The key of an attendee: the stable id, or of an anonymous one the connection's id. */
export const keyOf = (attendee) => attendee.attendee ?? `#${attendee.connections[0].id}`;

/** The argument by which the API explains an attendee. */
export const explainedBy = (attendee) => attendee.attendee ?? attendee.connections[0].id;

/**
 * Make the timeline of a meeting.
 *
 * A bar has `from`, `to`, `isOpen` (still there), `isInferred` and `isJoinInferred` (dashed), and `isPoint` where only
 * the leave is known; `streams` is what the connection sent.
 */
export function timelineOf({ meeting, attendees, archives = [], now = Date.now() }) {
  const rows = attendees.map((attendee) => ({
    kind: "person",
    key: keyOf(attendee),
    name: attendee.name ?? attendee.attendee,
    attendee,
    bars: attendee.connections.map((one) => barOf(one, now)),
  }));
  for (const archive of archives) {
    const bar = recordingOf(archive, meeting, now);
    if (bar !== null) rows.push({ kind: "recording", key: `archive ${archive.id}`, name: archive.name, archive, bars: [bar] });
  }
  const ended = ms(meeting.endTime);
  const times = rows.flatMap((row) => row.bars.flatMap((bar) => [bar.from, bar.to]));
  if (rows.length > 0 && ended !== null) times.push(ended);
  return { rows, ended, now: meeting.status === "open" ? now : null, span: spanOf(times, now) };
}

function barOf(one, now) {
  const joined = ms(one.joined);
  const left = ms(one.left);
  const end = left ?? Math.max(now, joined ?? now);
  const to = Math.max(end, joined ?? end);
  return {
    id: one.id,
    from: joined ?? to,
    to,
    streams: (one.streams ?? []).map((stream) => streamOf(stream, to)),
    joined,
    left,
    reason: one.reason,
    isOpen: left === null,
    isInferred: one.inferred,
    isJoinInferred: one.joinInferred,
    isPoint: joined === null,
  };
}

function recordingOf(archive, meeting, now) {
  const from = ms(archive.createdOn);
  const isRunning = archive.status === "started" || archive.status === "paused";
  if (archive.durationSeconds !== null) return { id: archive.id, from, to: from + archive.durationSeconds * 1000, isOpen: false };
  if (isRunning) return { id: archive.id, from, to: Math.max(now, from), isOpen: true };
  const end = ms(meeting.endTime) ?? from;
  return archive.status === "failed" ? { id: archive.id, from, to: from, isOpen: false } : { id: archive.id, from, to: Math.max(end, from), isOpen: false, isInferred: true };
}

/** Return the span that shows all times, with a little air on both sides. */
function spanOf(times, now) {
  if (times.length === 0) return [now - 600000, now + 600000];
  let [first, last] = [times[0], times[0]];
  for (const time of times) {
    if (time < first) first = time;
    if (time > last) last = time;
  }
  const air = Math.max((last - first) * 0.02, 15000);
  return [first - air, last + air];
}

/** Put the bars of a row that overlap beneath each other: gives each its lane, and the number of lanes. */
export function lanesOf(bars) {
  const ends = [];
  const lanes = bars.map((bar) => {
    let lane = ends.findIndex((end) => end <= bar.from);
    if (lane < 0) lane = ends.length;
    ends[lane] = Math.max(bar.to, bar.from + 1);
    return lane;
  });
  return { lanes, count: Math.max(ends.length, 1) };
}
