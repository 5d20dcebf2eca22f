// The URL names the view and its filters: `#/meetings?status=open`, `#/meetings/{link}`. They are in the fragment, so that no
// server's log and no proxy sees which meeting or person is looked at.

const listeners = new Set();

/** Read a fragment: the view, the id that it is about, and its filters. */
export function parse(fragment) {
  const [path, query = ""] = fragment.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [view = "", ...rest] = path.split("/");
  return { view, ids: rest.filter((part) => part !== "").map(decoded), query: new URLSearchParams(query) };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Write the fragment of a view; absent filters are left out. */
export function href(view, ids = [], query = {}) {
  const path = [view, ...[ids].flat().map(encodeURIComponent)].join("/");
  const filters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== null && value !== undefined && value !== "") filters.set(name, value);
  return `#/${path}${filters.size ? `?${filters}` : ""}`;
}

export const current = () => parse(location.hash);

export function go(fragment) {
  location.hash = fragment;
}

/** Change filters of the view that is shown; null removes one. Each change is a step of the browser's history. */
export function refine(changes) {
  const { view, ids, query } = current();
  go(href(view, ids, { ...Object.fromEntries(query), ...changes }));
}

export function onRoute(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

addEventListener("hashchange", () => listeners.forEach((listener) => listener(current())));
