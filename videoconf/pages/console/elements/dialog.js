// Dialogs: a question before an action, and panels. Esc closes, and the focus goes back to where it was.

import { h, icon, put } from "../dom.js";
import { words } from "../words.js";
import { tell } from "./toast.js";

let names = 0;

/** Show a panel until it is closed. `fill` gets its content and a function that closes it. */
export function panel(title, fill, kind = "") {
  const id = `dialog-${(names += 1)}`;
  const body = h("div", { class: "dialog-body" });
  const dialog = h(
    "dialog",
    { class: kind, "aria-labelledby": id },
    h(
      "header",
      {},
      h("h2", { id }, title),
      h("button", { class: "button plain square", type: "button", "aria-label": words.dialog.close, onclick: () => dialog.close() }, icon("close")),
    ),
    body,
  );
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  const leave = () => dialog.close();
  addEventListener("hashchange", leave);
  document.body.append(dialog);
  put(body, fill(leave, dialog));
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      removeEventListener("hashchange", leave);
      dialog.remove();
      resolve(dialog.returnValue);
    });
  });
}

/**
 * Ask before an action, do it, and show the outcome.
 *
 * `act(values)` does it; `fields` are inputs whose values it gets; `typed` is a word that must be typed first.
 * Resolves to whether it was done.
 */
export async function confirm({ title, text, button, done, act, isDangerous = false, typed = null, fields = [] }) {
  let wasDone = false;
  await panel(title, (close) => {
    const problem = h("p", { class: "problem", role: "alert", hidden: true });
    const go = h("button", { class: `button primary ${isDangerous ? "danger" : ""}`, type: "submit", disabled: typed !== null }, button);
    const guard = typed === null ? null : typedField(typed, (matches) => (go.disabled = !matches));
    const onsubmit = async (event) => {
      event.preventDefault();
      if (go.disabled) return;
      go.disabled = true;
      problem.hidden = true;
      try {
        const answer = await act(Object.fromEntries(fields.map((field) => [field.name, field.value()])));
        wasDone = true;
        close();
        if (done) tell(typeof done === "function" ? done(answer) : done);
      } catch (error) {
        if (error.status === undefined) throw error;
        put(problem, error.message || words.states.unreachable);
        problem.hidden = false;
        go.disabled = false;
      }
    };
    return h(
      "form",
      { class: "question", onsubmit },
      h("p", { class: "quiet" }, text),
      fields.map((field) => field.element),
      guard,
      problem,
      h("footer", {}, h("button", { class: "button", type: "button", onclick: close }, words.dialog.cancel), go),
    );
  });
  return wasDone;
}

function typedField(word, onmatch) {
  const input = h("input", { class: "field", autocomplete: "off", spellcheck: "false", oninput: () => onmatch(input.value === word) });
  return h("label", { class: "typed" }, h("span", {}, words.dialog.type("")), h("code", {}, word), input, h("span", { class: "quiet small" }, words.dialog.typeHint));
}

/** Make a labelled field of a question. */
export function field(name, label, attributes = {}, options = null) {
  const input = options
    ? h("select", { class: "field", ...attributes }, Object.entries(options).map(([value, text]) => h("option", { value }, text)))
    : h("input", { class: "field", autocomplete: "off", ...attributes });
  return { name, element: h("label", {}, label, input), value: () => input.value.trim() };
}
