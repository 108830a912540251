/* Filters above a list: what they let through is looked for as one types. */

import { el } from "./dom.js";

const PAUSE_MS = 250;

/** A form with these fields. `look()` is called once nobody has typed for a moment, and at once for a choice or Enter. */
export function filters(fields, look) {
  let waiting = 0;
  const form = el("form", { class: "filters", role: "search", method: "post" }, fields);
  const values = () => JSON.stringify([...new FormData(form)]);
  let before = values();
  const now = () => {
    clearTimeout(waiting);
    if (values() === before) return;
    before = values();
    look();
  };
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(now, PAUSE_MS);
  });
  form.addEventListener("change", now);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    now();
  });
  return form;
}
