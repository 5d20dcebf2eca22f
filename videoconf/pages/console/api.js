// Requests to the service's public API, with the token of this tab.

import { session } from "./session.js";

const ROOT = new URL("../../", import.meta.url);

/** What the API answered in place of what was asked for; status 0 where no answer came. */
export class Problem extends Error {
  constructor(status, document = {}, retryAfter = null) {
    super(document.detail ?? document.title ?? "");
    this.status = status;
    this.code = document.code ?? null;
    this.title = document.title ?? null;
    this.requestId = document.requestId ?? null;
    this.retryAfterSeconds = retryAfter;
  }
}

/** Build the URL of an operation; a part of the path that is a variable is encoded by {@link at}. */
export function address(path, query = {}) {
  const url = new URL(path.replace(/^\//, ""), ROOT);
  for (const [name, value] of Object.entries(query)) if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  return url;
}

/** Write a path with its variables encoded: at`/session/${link}/end`. */
export const at = (strings, ...values) => String.raw({ raw: strings }, ...values.map(encodeURIComponent));

async function send(method, path, { query, body, accept = "application/json", signal } = {}) {
  const headers = { Accept: accept };
  if (session.token !== null) headers.Authorization = `Bearer ${session.token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const token = session.token;
  let answer;
  try {
    answer = await fetch(address(path, query), {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0);
  }
  if (answer.ok) return answer;
  const document = await answer.json().catch(() => ({}));
  const problem = new Problem(answer.status, document, Number(answer.headers.get("Retry-After")) || null);
  if (answer.status === 401 && token === session.token) session.leave(problem.message);
  throw problem;
}

async function json(answer) {
  const text = await answer.text().catch(() => {
    throw new Problem(0);
  });
  return text === "" ? null : JSON.parse(text);
}

export const get = async (path, query, signal) => json(await send("GET", path, { query, signal }));

export const post = async (path, body, signal) => json(await send("POST", path, { body, signal }));

export const patch = async (path, body) => json(await send("PATCH", path, { body }));

export const remove = async (path, query) => json(await send("DELETE", path, { query }));

/** Read a part of a list by cursor: `{items, next}`; `next` is null at its end. */
export async function part(path, query, cursor, signal, limit = 50) {
  const answer = await send("GET", path, { query: { ...query, limit, cursor }, signal });
  const body = await json(answer);
  return { items: Array.isArray(body) ? body : body.items, next: answer.headers.get("X-Next-Cursor") };
}

/** Read a file and hand it to the browser as a download. */
export async function save(path, query, accept, name) {
  const answer = await send("GET", path, { query, accept });
  saveText(await answer.text(), accept, name);
}

export function saveText(text, type, name) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
