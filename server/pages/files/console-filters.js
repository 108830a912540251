/* Filters above a list: what they let through is looked for as one types. */

import { announce } from "./announce.js";
import { table } from "./console-table.js";
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

/** Filters above a table of those of `rows` that fit: `fits(row)` looks at the controls. `none` is the text where no row
 * does, and `shown(number)` says how many do. */
export function filtered({ fields, rows, columns, caption, none, fits, shown }) {
  const place = el("div");
  const look = () => {
    const found = rows.filter(fits);
    place.replaceChildren(found.length ? table({ caption, columns, rows: found }) : el("p", { class: "muted" }, none));
    return found.length;
  };
  look();
  return [filters(fields, () => announce(shown(look()))), place];
}
