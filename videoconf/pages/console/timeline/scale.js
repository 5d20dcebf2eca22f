// The part of the time that is shown, and where a moment is on the screen. Pure: each change gives a new scale.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [1, 2, 5, 10, 15, 30].map((one) => one * SECOND).concat(
  [1, 2, 5, 10, 15, 30].map((one) => one * MINUTE),
  [1, 2, 3, 6, 12].map((one) => one * HOUR),
  [1, 2, 7, 14, 28, 91, 182, 364].map((one) => one * DAY),
);
const SHORTEST = 10 * SECOND;
const LABEL_WIDTH = 76;

/** Show a span of time, all of it at first, in so many pixels. */
export const scaleOf = (span, width) => ({ span, from: span[0], to: span[1], width });

export const toX = (scale, time) => ((time - scale.from) / (scale.to - scale.from)) * scale.width;

export const toTime = (scale, x) => scale.from + (x / scale.width) * (scale.to - scale.from);

/** Zoom by a factor (below 1: in) about a place that stays where it is. */
export function zoomed(scale, factor, x) {
  const all = scale.span[1] - scale.span[0];
  const length = Math.min(Math.max((scale.to - scale.from) * factor, Math.min(SHORTEST, all)), all);
  const fixed = toTime(scale, x);
  return placed(scale, fixed - (x / scale.width) * length, length);
}

/** Move by so many pixels. */
export const moved = (scale, pixels) => {
  const length = scale.to - scale.from;
  return placed(scale, scale.from + (pixels / scale.width) * length, length);
};

/** Take another width, or a span that has grown; who saw everything still does. */
export function resized(scale, span, width) {
  const sawAll = scale.from === scale.span[0] && scale.to === scale.span[1];
  if (sawAll) return scaleOf(span, width);
  return placed({ ...scale, span, width }, scale.from, scale.to - scale.from);
}

/** Move as little as is needed to show a time range, or its beginning where it is longer than what is shown. */
export function revealed(scale, from, to) {
  const length = scale.to - scale.from;
  const edge = length * 0.05;
  if (to > scale.from + edge && from < scale.to - edge) return scale;
  return placed(scale, (from + Math.min(to, from + length)) / 2 - length / 2, length);
}

function placed(scale, from, length) {
  const start = Math.min(Math.max(from, scale.span[0]), scale.span[1] - length);
  return { ...scale, from: start, to: start + length };
}

/** Return the moments that the axis names: round ones in the viewer's zone, not closer than their labels are wide. */
export function ticks(scale) {
  const least = ((scale.to - scale.from) / scale.width) * LABEL_WIDTH;
  const step = STEPS.find((one) => one >= least) ?? STEPS.at(-1);
  const offset = new Date(scale.from).getTimezoneOffset() * MINUTE;
  const found = [];
  for (let local = Math.ceil((scale.from - offset) / step) * step; local + offset <= scale.to; local += step) found.push(local + offset);
  return { times: found, step };
}

export const isDays = (step) => step >= DAY;
export const isSeconds = (step) => step < MINUTE;
