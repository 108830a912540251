/* Forms of the console, made as those in the templates are. What was typed stays in this entry of the history, for who
 * comes back or loads the page again; passwords do not. */

import { keep, kept } from "./console-place.js";
import { el } from "./dom.js";
import { submits } from "./form.js";
import { t } from "./messages.js";
import { Problem, words } from "./problem.js";

/** A label, a hint, the control, and the place for what is wrong with it. */
export function field(control, label, hint) {
  const { id } = control;
  control.setAttribute("aria-describedby", hint ? `${id}-hint ${id}-error` : `${id}-error`);
  const name = el("label", { for: id }, label);
  const told = hint && el("p", { class: "hint", id: `${id}-hint` }, hint);
  const error = el("p", { class: "error", id: `${id}-error`, hidden: true });
  if (control.type !== "checkbox") return el("div", { class: "field" }, name, control, told, error);
  return el("div", { class: "field check" }, el("div", {}, control, name), told, error);
}

/** An input whose name is also its id. */
export function input(name, attributes = {}) {
  return el("input", { id: name, name, type: "text", autocomplete: "off", ...attributes });
}

/** A choice of `[value, text]`. */
export function choice(name, options, value = "") {
  const select = el("select", { id: name, name });
  offer(select, options, value);
  return select;
}

export function offer(select, options, value = select.value) {
  select.replaceChildren(...options.map(([of, text]) => el("option", { value: of }, text)));
  select.value = value;
}

/** A form with these fields. `submit(values)` does it; `codes` says which field a problem of that code belongs to. */
export function form({ name, fields, action, back, submit, codes = {} }) {
  const made = el(
    "form",
    { method: "post", novalidate: true },
    fields,
    el("p", { class: "error form-error", role: "alert", hidden: true }),
    el(
      "div",
      { class: "actions" },
      el("button", { type: "submit", class: "primary" }, action),
      back && el("a", { class: "button", href: back }, t("dialog.cancel")),
    ),
  );
  restore(made, kept(name) ?? {});
  made.addEventListener("input", () => keep(name, typed(made)));
  submits(made, async (values) => {
    try {
      await submit(values);
    } catch (problem) {
      const field = codes[problem.code];
      if (field) throw new Problem({ ...problem, errors: [{ field, message: words(problem) }] });
      throw problem;
    }
  });
  return made;
}

const worthKeeping = (control) => control.name && control.type !== "password";

function typed(made) {
  const controls = [...made.elements].filter(worthKeeping);
  return Object.fromEntries(
    controls.map((control) => [control.name, control.type === "checkbox" ? control.checked : control.value]),
  );
}

function restore(made, values) {
  for (const control of [...made.elements].filter(worthKeeping)) {
    if (!(control.name in values)) continue;
    if (control.type === "checkbox") control.checked = values[control.name];
    else control.value = values[control.name];
  }
}
