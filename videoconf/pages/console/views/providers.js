// The installed providers: what each can do, and whether calls to it go through.

import { get } from "../api.js";
import { h, put } from "../dom.js";
import { words } from "../words.js";
import { page } from "../elements/page.js";
import { every } from "../elements/part.js";
import { dot, empty, failed, loading } from "../elements/state.js";
import { moment } from "../elements/time.js";

const { providers: text } = words;
const TONES = { closed: "good", open: "bad", half_open: "warn", unknown: "", disabled: "" };
const REFRESH_SECONDS = 15;

export function view(route, signal) {
  const root = h("div", {}, loading(3));
  const read = async () => {
    try {
      const found = await get("/providers", {}, signal);
      if (JSON.stringify(found) === root.known) return;
      root.known = JSON.stringify(found);
      put(root, found.items.length === 0 ? empty({ title: text.emptyTitle, text: text.emptyText }) : h("div", { class: "cards" }, found.items.map(card)), failures(found.failures));
    } catch (problem) {
      if (signal.aborted) return;
      if (problem.status === undefined) throw problem;
      put(root, failed(problem, read));
    }
  };
  read();
  every(REFRESH_SECONDS, signal, read);
  return { title: words.pages.providers, content: page(words.pages.providers, { intro: text.intro }, root) };
}

function card(provider) {
  const state = provider.enabled ? (provider.state?.breaker.replace("-", "_") ?? "unknown") : "disabled";
  const can = provider.capabilities;
  const fact = (label, ...value) => h("div", {}, h("dt", {}, label), h("dd", {}, value));
  return h(
    "section",
    { class: `card provider ${provider.enabled ? "" : "off"}`, "aria-label": provider.label },
    h("header", {}, h("h2", {}, provider.label), provider.default && h("span", { class: "tag" }, text.default), dot(text.state[state] ?? state, TONES[state])),
    h(
      "dl",
      { class: "facts" },
      provider.state && fact(text.since, moment(provider.state.since)),
      provider.state && fact(text.lastError, errorOf(provider.state.lastErrorCode)),
      can && fact(text.webhooks, text.signed[can.webhookAuthentication] ?? can.webhookAuthentication),
      can && fact(text.roles, can.roles.map((role) => words.invite.roles[role] ?? role).join(", ")),
      fact(text.package, h("code", {}, provider.distribution)),
    ),
    can && h("ul", { class: "tags", "aria-label": text.can }, can.features.map((one) => h("li", { class: "tag" }, text.features[one] ?? one))),
  );
}

const errorOf = (code) => (code === null ? h("span", { class: "quiet" }, text.noError) : [text.errors[code] ?? null, " ", h("code", {}, code)]);

const failures = (found) =>
  found.length > 0 &&
  h("section", { class: "card", "aria-label": text.failures }, h("header", {}, h("h2", {}, text.failures)), h("ul", { class: "short" }, found.map((one) => h("li", {}, h("span", { class: "grow" }, one.plugin), h("code", {}, one.distribution), h("span", { class: "state bad" }, one.reason)))));
