// Asks for a bearer token, and keeps it in this tab.

import { h, put } from "../dom.js";
import { session } from "../session.js";
import { words } from "../words.js";

export function signIn() {
  const problem = h("p", { class: "problem", role: "alert", id: "problem", hidden: true });
  const input = h("input", {
    class: "field mono",
    type: "password",
    id: "token",
    autocomplete: "off",
    spellcheck: "false",
    autocapitalize: "off",
    "aria-describedby": "problem",
  });
  const say = (text) => {
    put(problem, text);
    problem.hidden = false;
  };
  if (session.problem) say(words.signIn.refused(session.problem));
  const onsubmit = (event) => {
    event.preventDefault();
    if (!session.accept(input.value)) say(words.signIn.notToken);
  };
  document.title = `${words.signIn.title} · ${words.product}`;
  queueMicrotask(() => input.focus());
  return h(
    "main",
    { class: "sign-in", id: "content" },
    h("span", { class: "brand" }, h("span", { class: "mark", "aria-hidden": "true" }), words.product),
    h("h1", {}, words.signIn.title),
    h("p", { class: "quiet" }, words.signIn.text),
    h("form", { onsubmit }, h("label", { for: "token" }, words.signIn.label), input, problem, h("button", { class: "button primary", type: "submit" }, words.signIn.button)),
    h("p", { class: "quiet small" }, words.signIn.help),
  );
}
