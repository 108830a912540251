/* Tables. On a narrow screen each row becomes a card, in which each value is preceded by the name of its column. */

import { el } from "./dom.js";

/** `columns` are `{title, cell, className}`; `cell(row)` gives an element, a text, or a list of these. The first one names
 * the row.
 *
 * The roles are said, because what is displayed in another way is no longer told as a table. */
export function table({ caption, columns, rows }) {
  const head = columns.map(({ title, className }) =>
    el("th", { scope: "col", role: "columnheader", class: className }, title),
  );
  return el(
    "table",
    { role: "table", class: "cards" },
    el("caption", { class: "unseen" }, caption),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, head)),
    el(
      "tbody",
      { role: "rowgroup" },
      rows.map((row) =>
        el(
          "tr",
          { role: "row" },
          columns.map((column, index) => cell(column, row, index === 0)),
        ),
      ),
    ),
  );
}

function cell({ title, cell: content, className }, row, first) {
  const parts = [
    el("span", { class: "column", "aria-hidden": "true" }, title),
    el("div", { class: "value" }, content(row)),
  ];
  return first
    ? el("th", { scope: "row", role: "rowheader", class: className }, parts)
    : el("td", { role: "cell", class: className }, parts);
}

/** Names to the left, values to the right. Pairs are `[name, value]`. */
export function facts(pairs) {
  return el(
    "dl",
    { class: "facts" },
    pairs.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
  );
}
