// The start: read what the page must know of the service, take a token from a development link, show the view of the URL.

import { h, put } from "./dom.js";
import { current, href, onRoute } from "./route.js";
import { session } from "./session.js";
import { words } from "./words.js";
import "./elements/length.js";
import "./elements/name.js";
import "./elements/shell.js";
import "./elements/time.js";
import { page } from "./elements/page.js";
import { empty, failed, loading, refused } from "./elements/state.js";

/** Views by the first part of the URL: what the token must carry, and the module, which is loaded when it is needed. */
const VIEWS = {
  meetings: { needs: ["GetMeetings"], load: (ids) => (ids.length ? import("./views/meeting.js") : import("./views/meetings.js")) },
  persons: { needs: ["GetMeetingAttendees", "ManagePersons"], load: () => import("./views/person.js") },
  archives: { needs: ["GetMeetingArchives"], load: () => import("./views/archives.js") },
  events: { needs: ["GetEvents", "ManageEventSubscriptions"], load: () => import("./views/events.js") },
  webhooks: { needs: ["GetWebhookEvents"], load: () => import("./views/webhooks.js") },
  providers: { needs: ["GetProviders"], load: () => import("./views/providers.js") },
  jobs: { needs: ["ManageOperations"], load: () => import("./views/jobs.js") },
  audit: { needs: ["GetAuditEntries"], load: () => import("./views/audit.js") },
};
const TOKEN = /^#token=([\w.=-]+)$/;

let shell = null;
let showing = null;

async function start() {
  const root = document.getElementById("console");
  put(root, loading(3));
  let settings;
  try {
    const answer = await fetch(new URL("settings.json", new URL(`${location.pathname.replace(/\/$/, "")}/`, location)), { credentials: "omit" });
    if (!answer.ok) throw new TypeError();
    settings = await answer.json();
  } catch {
    put(root, failed({ status: 0 }, start));
    return;
  }
  session.start(settings);
  takeLinkedToken(settings);
  session.onChange(draw);
  onRoute(draw);
  await draw();
}

/** Accept the token of a development link, and remove it from the address and the history at once. */
function takeLinkedToken(settings) {
  const linked = location.hash.match(TOKEN);
  if (linked === null) return;
  history.replaceState(null, "", `${location.pathname}${location.search}`);
  if (settings.development) session.accept(linked[1]);
}

async function draw() {
  const root = document.getElementById("console");
  showing?.abort();
  showing = new AbortController();
  const { signal } = showing;
  if (!session.isSignedIn) {
    shell = null;
    const { signIn } = await import("./views/sign-in.js");
    if (!signal.aborted) put(root, signIn());
    return;
  }
  if (shell === null) put(root, (shell = h("vc-shell")));
  const route = current();
  if (route.view === "") {
    const first = Object.keys(VIEWS).find((name) => name !== "persons" && VIEWS[name].needs.some((one) => session.can(one)));
    location.replace(href(first ?? "meetings"));
    return;
  }
  const view = Object.hasOwn(VIEWS, route.view) ? VIEWS[route.view] : undefined;
  shell.mark(route);
  if (view === undefined) return shell.content(words.unknownPage.title, page(words.unknownPage.title, {}, empty({ title: words.states.missing, text: words.unknownPage.text })));
  if (!view.needs.some((one) => session.can(one))) {
    const title = words.pages[route.view] ?? words.person.title;
    return shell.content(title, page(title, {}, refused(view.needs.join(" / "))));
  }
  shell.isBusy = true;
  const module = await view.load(route.ids).catch(() => null);
  if (signal.aborted) return undefined;
  shell.isBusy = false;
  if (module === null) return shell.content(words.pages[route.view] ?? "", page(words.pages[route.view] ?? words.product, {}, failed({ status: 0 }, draw)));
  const { title, content } = module.view(route, signal);
  return shell.content(title, content);
}

start();
