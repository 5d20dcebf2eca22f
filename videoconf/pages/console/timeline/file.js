// The timeline as files: the connections as CSV, and all rows as one SVG.

import { clock, day } from "../format.js";
import { words } from "../words.js";
import { lanesOf } from "./model.js";
import { scaleOf, ticks, toX } from "./scale.js";
import { marksOf, reportsOf } from "./streams.js";

const ROW = 28;
const LABELS = 180;
const WIDTH = 1000;
const AXIS = 32;
const XML = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;" };

/** Write the connections as CSV, which a spreadsheet opens; nothing in it is read as a formula. */
export function csvOf({ rows }) {
  const head = ["attendee", "name", "joined", "joinInferred", "left", "leaveInferred", "seconds", "reason", "connectionId", "streams"];
  const lines = rows.filter((row) => row.kind === "person").flatMap((row) =>
    row.bars.map((bar) => [
      row.attendee.attendee,
      row.attendee.name,
      iso(bar.joined),
      bar.isJoinInferred,
      iso(bar.left),
      bar.isInferred,
      Math.floor((bar.to - bar.from) / 1000),
      bar.reason,
      bar.id,
      bar.streams.map((one) => `${one.id}: ${reportsOf(one).map(([what, time]) => `${what} ${iso(time)}`).join(", ")}`).join("; "),
    ]),
  );
  return `\ufeff${[head, ...lines].map((line) => line.map(cell).join(",")).join("\r\n")}\r\n`;
}

const iso = (time) => (time === null ? null : new Date(time).toISOString());

// What a spreadsheet runs at the start of a cell, and where it may begin one within a value: as the service's own CSV.
const FORMULA = String.raw`[\s"'\u200b\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]`;
const RUNS = new RegExp(`^(?:${FORMULA}|[\\t\\r\\n])`, "u");
const RUNS_WITHIN = new RegExp(String.raw`([;,|\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029])(?=${FORMULA})`, "gu");

function defused(text) {
  const within = text.replace(RUNS_WITHIN, "$1'");
  return RUNS.test(within) ? `'${within}` : within;
}

function cell(value) {
  if (value === null || value === undefined) return "";
  const safe = typeof value === "string" ? defused(value) : String(value);
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Draw all rows as one SVG document that stands alone. `colours` are those of the page. */
export function svgOf({ rows, ended, span }, title, colours) {
  const scale = scaleOf(span, WIDTH - LABELS - 16);
  const height = AXIS + rows.length * ROW + 12;
  const at = (time) => (LABELS + toX(scale, time)).toFixed(1);
  const axis = ticks(scale).times.map(
    (time) =>
      `<path d="M${at(time)} ${AXIS}V${height}" stroke="${colours.line}"/><text x="${at(time)}" y="20" text-anchor="middle" fill="${colours.quiet}">${clock(new Date(time))}</text>`,
  );
  const streamsOf = (row, bar, top, thick) => {
    const colour = bar.isInferred || bar.isJoinInferred || bar.isPoint ? colours.accent : colours.ground;
    const marks = row.kind === "person" ? marksOf(bar, (time) => Number(at(time)), top, thick) : [];
    const dotOf = ({ cx, cy, r }) => `<circle cx="${cx}" cy="${cy}" r="${r}" fill="${colour}"/>`;
    return marks.map(({ path, dot }) => `<path d="${path}" fill="none" stroke="${colour}"/>${dot ? dotOf(dot) : ""}`).join("");
  };
  const drawn = rows.map((row, place) => {
    const top = AXIS + place * ROW;
    const { lanes, count } = lanesOf(row.bars);
    const bars = row.bars.map((bar, index) => {
      const thick = 14 / count;
      const x = Number(at(bar.from));
      const width = Math.max(Number(at(bar.to)) - x, 2);
      const colour = row.kind === "recording" ? colours.bad : colours.accent;
      const style = bar.isInferred || bar.isJoinInferred || bar.isPoint ? `fill="none" stroke="${colour}" stroke-dasharray="4 3"` : `fill="${colour}"`;
      const place = top + 7 + lanes[index] * thick;
      return `<rect x="${x}" y="${place}" width="${width.toFixed(1)}" height="${Math.max(thick - 1, 2)}" rx="3" ${style}><title>${escaped(`${iso(bar.from)} – ${bar.isOpen ? "" : iso(bar.to)}`)}</title></rect>${streamsOf(row, bar, place, thick)}`;
    });
    const label = (row.kind === "recording" ? words.timeline.recording : (row.name ?? words.name.anonymous)).slice(0, 60);
    return `<svg x="0" y="${top}" width="${LABELS - 12}" height="${ROW}"><text x="12" y="19" fill="${colours.ink}">${escaped(label)}</text></svg>${bars.join("")}`;
  });
  const end = ended === null ? "" : `<path d="M${at(ended)} ${AXIS}V${height}" stroke="${colours.ink}" stroke-width="1.5"/>`;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="13">` +
    `<title>${escaped(title)}, ${escaped(day(new Date(span[0])))}</title><rect width="100%" height="100%" fill="${colours.ground}"/>${axis.join("")}${drawn.join("")}${end}</svg>`
  );
}

/** Escape what XML reads as markup, and leave out what it cannot hold. */
export const escaped = (text) => text.replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "").replace(/[&<>"']/g, (one) => XML[one]);
