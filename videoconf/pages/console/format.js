// How values look: times in the viewer's zone, lengths, sizes, counts, and names of any origin.

import { words } from "./words.js";

const LANGUAGE = words.language;
const CLOCK = new Intl.DateTimeFormat(LANGUAGE, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const CLOCK_WITH_SECONDS = new Intl.DateTimeFormat(LANGUAGE, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const DAY = new Intl.DateTimeFormat(LANGUAGE, { day: "numeric", month: "short" });
const DAY_OF_YEAR = new Intl.DateTimeFormat(LANGUAGE, { day: "numeric", month: "short", year: "numeric" });
const NUMBER = new Intl.NumberFormat(LANGUAGE);
const UNITS = ["B", "KB", "MB", "GB", "TB"];

export const count = (number) => NUMBER.format(number);

export const clock = (date) => CLOCK.format(date);

export const exactClock = (date) => CLOCK_WITH_SECONDS.format(date);

/** Write a day: "today", "yesterday", "12 Mar", or with the year where it is another one. */
export function day(date, now = new Date()) {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate());
  const days = Math.round((new Date(date.getFullYear(), date.getMonth(), date.getDate()) - midnight) / 86400000);
  if (days === 0) return words.time.today;
  if (days === -1) return words.time.yesterday;
  if (days === 1) return words.time.tomorrow;
  return (date.getFullYear() === now.getFullYear() ? DAY : DAY_OF_YEAR).format(date);
}

/** Write a moment: "today 14:05". */
export const when = (date, now) => `${day(date, now)} ${clock(date)}`;

/** Write a moment to the second. */
export const exactly = (date, now) => `${day(date, now)} ${exactClock(date)}`;

/** Write a moment in UTC, in full. */
export const inUtc = (date) => `${date.toISOString().replace("T", " ").replace(/\.\d+Z$/, "")} UTC`;

/** Write a length: "45 s", "12 min", "1 h 04 min", "3 d 2 h". */
export function length(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${count(Math.floor(hours / 24))} d ${hours % 24} h`;
}

export function size(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** Write a share of one: 0.8123 is "81 %". Only the whole is "100 %". */
export const percent = (share) => `${Math.floor(share * 100 + 1e-9)} %`;

const INVISIBLE = /[\p{C}\p{Z}\u115f\u1160\u2800\u3164\uffa0\p{M}]/gu;

/** Tell whether a text shows anything at all: one of zero-width characters alone does not. */
export const isVisible = (text) => text.replace(INVISIBLE, "") !== "";

/** Replace characters that would break a line or reorder what stands around. */
export const calm = (text) => text.replace(/[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, " ");

/** Cut a text in its middle to at most so many characters, between what a reader sees as characters. */
export function cut(text, most) {
  if (text.length <= most) return text;
  const parts = [...new Intl.Segmenter(LANGUAGE).segment(text.slice(0, 4000))].map((one) => one.segment);
  const isWhole = text.length <= 4000;
  if (isWhole && parts.length <= most && text.length <= most * 4) return text;
  const head = Math.ceil((most - 1) * 0.6);
  const tail = most - 1 - head;
  const end = [...new Intl.Segmenter(LANGUAGE).segment(text.slice(-400))].map((one) => one.segment);
  // One "character" may have hundreds of marks; it is cut as well.
  const short = (some) => some.map((one) => one.slice(0, 8)).join("");
  return `${short(parts.slice(0, head))}…${short(end.slice(-tail))}`;
}

/** Return what to call a meeting: its title, else the caller's own id of it, else null. */
export function titleOf(meeting) {
  const title = meeting.extMetadata?.title;
  if (typeof title === "string" && isVisible(title)) return title;
  return meeting.extId !== null && isVisible(meeting.extId) ? meeting.extId : null;
}
