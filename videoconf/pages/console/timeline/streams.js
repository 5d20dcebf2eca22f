// What a connection sent: a line within its bar, with a dot where a stream was published and a stroke where it was gone.
// Events tell the latest of each alone, so a stream that came back has its stroke before its dot.

const MOST_LINES = 3;
const APART = 4;
const INSET = 3;
const DOT = 2.5;
const STROKE = 7;

/** Read a stream of a connection that ends at `end`; times are in milliseconds, null where no event reported them. */
export function streamOf({ id, publishedOn, goneOn }, end) {
  const published = publishedOn === null ? null : Date.parse(publishedOn);
  const gone = goneOn === null ? null : Date.parse(goneOn);
  const hasStopped = gone !== null && (published === null || gone >= published);
  return { id, published, gone, from: published ?? gone, to: hasStopped ? gone : Math.max(end, published) };
}

/** Return the reports of a stream in the order of their times: pairs of "published" or "gone" and the time. */
export const reportsOf = ({ published, gone }) =>
  [["published", published], ["gone", gone]].filter(([, time]) => time !== null).sort(([, one], [, other]) => one - other);

/**
 * Return what to draw in a bar as paths and dots, by the place of each moment `x(time)`.
 *
 * A bar that shares its row with others is too thin for strokes; it has lines and dots alone.
 */
export function marksOf(bar, x, top, thick) {
  const [left, right] = [x(bar.from), x(bar.to)];
  const within = (time) => Math.min(Math.max(x(time), left + INSET), Math.max(right - INSET, left));
  return bar.streams.slice(0, MOST_LINES).map((stream, place) => {
    const y = thick < STROKE + 2 ? top + thick / 2 : top + thick / 2 + APART * (place - (Math.min(bar.streams.length, MOST_LINES) - 1) / 2);
    const tick = stream.gone !== null && thick >= STROKE + 2 ? `M${cut(within(stream.gone))} ${cut(y - STROKE / 2)}v${STROKE}` : "";
    const line = stream.published !== null ? `M${cut(within(stream.from))} ${cut(y)}H${cut(within(stream.to))}` : "";
    return { path: `${line}${tick}`, dot: stream.published === null ? null : { cx: cut(within(stream.published)), cy: cut(y), r: Math.min(DOT, thick / 2) } };
  });
}

const cut = (number) => Number(number.toFixed(1));
