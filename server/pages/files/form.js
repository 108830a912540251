/* Forms: one that is sent can't be sent twice, and what is wrong is said where it is wrong. */

import { announce } from "./announce.js";
import { hide, show } from "./dom.js";
import { t } from "./messages.js";
import { countdown, Problem, words } from "./problem.js";
import { fieldWords } from "./field-words.js";

/** Call `action` with the values of the form when it is sent. A Problem that it throws is shown in the form. */
export function submits(form, action) {
  const button = form.querySelector('button[type="submit"]');
  button.disabled = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    clear(form);
    if (!filledIn(form)) return;
    const label = button.textContent;
    button.disabled = true;
    button.textContent = t("form.busy");
    try {
      await action(Object.fromEntries(new FormData(form)));
      button.textContent = label;
      button.disabled = false;
    } catch (problem) {
      button.textContent = label;
      button.disabled = false;
      if (!(problem instanceof Problem)) throw problem;
      explain(form, problem);
    }
  });
}

// Failures that are about one field.
const FIELDS = { username_taken: "username", email_taken: "email", code_invalid: "code" };

/** Show a problem: beside the fields that it names, and else above the button. 429 and 503 keep the button waiting. */
export function explain(form, problem) {
  const about = FIELDS[problem.code];
  const errors = about ? [[about, words(problem)]]
    : problem.errors.map(({ field, message }) => [field, fieldWords(message, field)]);
  const others = errors.filter(([field, text]) => !mark(form, field, text)).map(([, text]) => text);
  const marked = form.querySelector('[aria-invalid="true"]');
  if (!marked || others.length) tell(form, others.join(" ") || words(problem));
  if (problem.retryAfter && [429, 503].includes(problem.status)) {
    countdown(form.querySelector('button[type="submit"]'), problem.retryAfter);
  } else if (marked) {
    marked.focus();
  }
}

/** Say something about the form as a whole. */
export function tell(form, text) {
  const place = form.querySelector(".form-error");
  place.textContent = text;
  show(place);
}

/** Say that it is done. */
export function done(form, text) {
  const place = form.querySelector(".form-done");
  place.textContent = text;
  show(place);
  announce(text);
}

/** Say what is wrong with a field; false if the form shows no such field. */
export function mark(form, name, text) {
  const field = form.elements.namedItem(name);
  const place = field && form.querySelector(`#${CSS.escape(`${field.id}-error`)}`);
  if (!place || field.closest("[hidden]")) return false;
  field.setAttribute("aria-invalid", "true");
  place.textContent = text;
  show(place);
  return true;
}

/** Forget what was wrong. */
export function clear(form) {
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  for (const place of form.querySelectorAll(".error, .form-done")) {
    hide(place);
    place.textContent = "";
  }
}

function filledIn(form) {
  const empty = [...form.elements].filter((field) => field.required && !field.value);
  for (const field of empty) mark(form, field.name, t("form.required"));
  empty[0]?.focus();
  return empty.length === 0;
}
