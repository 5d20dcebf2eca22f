// Invitations to a meeting, and bans from it.

import { at, part, post, remove } from "../api.js";
import { h, icon, put } from "../dom.js";
import { session } from "../session.js";
import { words } from "../words.js";
import { confirm, field, panel } from "../elements/dialog.js";
import { named } from "../elements/name.js";
import { section } from "../elements/page.js";
import { dot, empty, failed } from "../elements/state.js";
import { moment } from "../elements/time.js";
import { tell } from "../elements/toast.js";

const { invite: text } = words;
const MOST = 100;

/** The roles that an invitation may give: what the provider knows and the token may give. */
function rolesOf(meeting) {
  const known = session.provider(meeting.provider).roles.filter((role) => session.meetingRoles?.includes(role) ?? true);
  const inOrder = Object.keys(text.roles).filter((role) => known.includes(role));
  return Object.fromEntries(inOrder.map((role) => [role, text.roles[role]]));
}

/** Ask for an invitation's terms, make it, and show its link once. */
export async function invite(meeting) {
  const made = {};
  const fields = [
    field("role", text.role, {}, rolesOf(meeting)),
    field("admission", text.admission, {}, { open: text.open, ask: text.ask }),
    field("name", text.name, { maxlength: 255 }),
    field("attendee", text.attendee, { maxlength: 255 }),
    field("maxUses", text.uses, { type: "number", min: 1, max: 1000000, placeholder: text.unlimited, inputmode: "numeric" }),
  ];
  const wasMade = await confirm({
    title: text.title,
    text: text.text,
    button: text.button,
    fields,
    act: async (values) => {
      const wish = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ""));
      if (wish.maxUses) wish.maxUses = Number(wish.maxUses);
      Object.assign(made, await post(at`/session/${meeting.meetingLink}/invitations`, wish));
    },
  });
  if (wasMade) await showLink(made.url);
  return wasMade;
}

const showLink = (url) =>
  panel(text.made, () => {
    const input = h("input", { class: "field mono", readonly: true, value: url, "aria-label": text.made });
    const copy = async () => {
      input.select();
      await navigator.clipboard?.writeText(url).then(() => tell(words.done.copied), () => {});
    };
    return h("div", { class: "made" }, h("div", { class: "row" }, input, h("button", { class: "button primary", type: "button", onclick: copy }, icon("copy"), text.copy)), h("p", { class: "quiet small" }, text.once));
  });

/** A short list beneath a meeting that is read again when the meeting changes, and stays away while it is empty. */
function shortList(title, read, row, signal) {
  const body = h("div");
  const element = section(title, null, body);
  element.hidden = true;
  const refresh = async () => {
    try {
      const { items } = await read();
      if (signal.aborted) return;
      element.hidden = items.length === 0;
      put(body, items.length === 0 ? empty({ title: "" }) : h("ul", { class: "short" }, items.map((item) => h("li", {}, row(item, refresh)))));
    } catch (problem) {
      if (signal.aborted) return;
      if (problem.status === undefined) throw problem;
      element.hidden = false;
      put(body, failed(problem, refresh));
    }
  };
  return { element, refresh };
}

export function invitations(meeting, signal) {
  const path = at`/session/${meeting.meetingLink}/invitations`;
  return shortList(text.list, () => part(path, {}, null, signal, MOST), (one, refresh) => invitation(path, one, refresh), signal);
}

function invitation(path, one, refresh) {
  const state = stateOf(one);
  const revoke = async () => {
    const question = { title: text.revokeTitle, text: text.revokeText, button: text.revoke, done: text.revoked, isDangerous: true };
    if (await confirm({ ...question, act: () => remove(`${path}/${encodeURIComponent(one.id)}`) })) refresh();
  };
  return [
    h("span", { class: "grow" }, one.name || one.attendee ? named(one.name ?? one.attendee, 30) : text.anyone, h("span", { class: "quiet small" }, text.roles[one.role] ?? one.role)),
    h("span", { class: "quiet small" }, text.used(one.uses ?? 0, one.maxUses ?? null)),
    dot(text.state[state], state === "active" ? "good" : ""),
    state === "active" && h("button", { class: "button small", type: "button", onclick: revoke }, text.revoke),
  ];
}

function stateOf(one) {
  if (one.revokedOn) return "revoked";
  if (one.expiresOn && new Date(one.expiresOn) < new Date()) return "expired";
  return one.maxUses && one.uses >= one.maxUses ? "used" : "active";
}

export function bans(meeting, signal) {
  const path = at`/session/${meeting.meetingLink}/bans`;
  return shortList(words.bans.list, () => part(path, {}, null, signal, MOST), (one, refresh) => ban(path, one, refresh), signal);
}

function ban(path, one, refresh) {
  const { actions } = words;
  const name = one.attendee;
  const lift = async () => {
    const question = { title: actions.liftTitle(name), text: actions.liftText, button: actions.lift, done: actions.lifted(name) };
    if (await confirm({ ...question, act: () => remove(`${path}/${encodeURIComponent(one.id)}`) })) refresh();
  };
  return [
    h("span", { class: "grow" }, named(name, 30), one.reason && h("span", { class: "quiet small" }, named(one.reason, 60))),
    moment(one.createdOn),
    h("button", { class: "button small", type: "button", onclick: lift }, actions.lift),
  ];
}
