// Recordings: whether they arrived, how large they are, and who must keep them.

import { at, get, part, patch } from "../api.js";
import { h, icon } from "../dom.js";
import { length, size } from "../format.js";
import { href } from "../route.js";
import { session } from "../session.js";
import { words } from "../words.js";
import { confirm } from "../elements/dialog.js";
import { filters } from "../elements/filters.js";
import { list } from "../elements/list.js";
import { named } from "../elements/name.js";
import { page } from "../elements/page.js";
import { dot } from "../elements/state.js";
import { moment } from "../elements/time.js";
import { tell } from "../elements/toast.js";
import { refreshLive } from "./meetings.js";

const { archive: text } = words;
const NAMES = ["meetingLink", "status", "createdFrom", "createdTo", "sort"];
const TONES = { started: "bad", paused: "warn", stopped: "warn", available: "good", uploaded: "good", failed: "bad", deleting: "warn" };
const ENDED = ["deleting", "deleted"];

export function view({ query }, signal) {
  const asked = Object.fromEntries(NAMES.map((name) => [name, query.get(name)]));
  const shown = list({
    caption: words.pages.archives,
    key: (archive) => archive.id,
    load: (cursor, stop) => part("/archives", asked, cursor, stop),
    columns: columnsOf(() => shown.refresh(), session.can("GetMeetings")),
    empty: () => (NAMES.some((name) => name !== "sort" && asked[name]) ? { title: text.noneTitle, text: words.meeting.noneText } : { title: text.emptyTitle, text: text.emptyText }),
  });
  refreshLive(signal, () => shown.refresh(), (event) => event.type.startsWith("archive."));
  const chips = [
    { name: "status", label: text.filters.status, options: text.status },
    { name: "meetingLink", label: text.filters.meetingLink },
    { kind: "range", names: ["createdFrom", "createdTo"], label: text.filters.created },
    { kind: "sort", name: "sort", label: words.filters.sort, options: text.sort, initial: "-created" },
  ];
  return { title: words.pages.archives, content: page(words.pages.archives, { trail: filters(chips, query) }, shown) };
}

function columnsOf(changed, canOpen, meeting = null) {
  return [
    { label: text.columns.name, kind: "main", cell: (archive) => [h("span", { class: "title" }, named(archive.name || text.untitled, 40)), archive.legalHold && h("span", { class: "tag" }, icon("hold"), text.held), archive.reason && h("span", { class: "quiet small" }, named(archive.reason, 60))] },
    canOpen && meeting === null && { label: text.columns.meeting, cell: (archive) => h("a", { href: href("meetings", archive.meetingLink) }, named(archive.meetingLink, 14)) },
    { label: text.columns.status, cell: (archive) => dot(text.status[archive.status], TONES[archive.status]) },
    { label: text.columns.length, kind: "number", cell: (archive) => (archive.durationSeconds === null ? null : length(archive.durationSeconds)) },
    { label: text.columns.size, kind: "number", cell: (archive) => (archive.sizeBytes === null ? null : size(archive.sizeBytes)) },
    { label: text.columns.created, cell: (archive) => moment(archive.createdOn) },
    { label: words.list.actions, kind: "acts", isQuiet: true, cell: (archive) => actionsOf(archive, changed, meeting) },
  ].filter(Boolean);
}

/** The recordings of one meeting, which are read already. */
export function recordings(archives, meeting, changed) {
  if (archives.length === 0) return h("p", { class: "quiet" }, text.none);
  const load = async () => ({ items: archives, next: null });
  return list({ caption: text.section, key: (archive) => archive.id, load, columns: columnsOf(changed, false, meeting), empty: () => ({ title: text.none }) });
}

/** What the token may do with a recording at this moment. */
function actionsOf(archive, changed, meeting) {
  const isThere = !ENDED.includes(archive.status);
  const canLift = session.can("DeleteMeetingArchive", "LiftLegalHold");
  return [
    canDownload(archive, meeting) && h("button", { class: "button small", type: "button", onclick: () => download(archive) }, icon("download"), text.download),
    isThere && !archive.legalHold && session.can("DeleteMeetingArchive") && holdButton(archive, changed),
    isThere && archive.legalHold && canLift && holdButton(archive, changed),
  ].filter(Boolean);
}

/** The provider's copy can be read where the provider lets it be; one in the storage target always. */
function canDownload(archive, meeting) {
  if (archive.status === "uploaded") return true;
  if (archive.status !== "available") return false;
  const keys = meeting ? [meeting.provider] : Object.keys(session.settings.providers);
  return keys.some((key) => session.provider(key).features.includes("archive_downloads"));
}

async function download(archive) {
  try {
    const { url } = await get(at`/archives/${archive.id}/download`);
    if (!/^https?:/.test(url)) return;
    const link = h("a", { href: url, target: "_blank", rel: "noopener noreferrer" });
    document.body.append(link);
    link.click();
    link.remove();
  } catch (problem) {
    if (problem.status === undefined) throw problem;
    tell(problem.message || words.states.unreachable);
  }
}

function holdButton(archive, changed) {
  const isHeld = archive.legalHold;
  const question = isHeld
    ? { title: text.releaseTitle, text: text.releaseText, button: text.release, done: text.released, isDangerous: true }
    : { title: text.holdTitle, text: text.holdText, button: text.hold, done: text.heldDone };
  const onclick = async () => {
    if (await confirm({ ...question, act: () => patch(at`/archives/${archive.id}`, { legalHold: !isHeld }) })) changed();
  };
  const label = isHeld ? text.release : text.hold;
  return h("button", { class: `button small square ${isHeld ? "held" : ""}`, type: "button", "aria-label": label, title: label, onclick }, icon("hold"));
}
