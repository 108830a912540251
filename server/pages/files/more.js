/* Lists that come page by page: the first page now, the next ones by a button. */

import { announce } from "./announce.js";
import { api } from "./api.js";
import { el } from "./dom.js";
import { t } from "./messages.js";
import { Problem, words } from "./problem.js";

/** Fills `list` with the rows of the entries that `path` answers in `member`. Returns a function that does so anew. */
export function pagedList(list, path, member, row, { limit = 10, empty = "" } = {}) {
  const button = el("button", { type: "button", class: "small", onclick: () => add() }, t("list.more"));
  const place = el("p", { hidden: true }, button);
  list.after(place);
  let cursor = null;
  let asked = 0;

  async function page(from) {
    const answer = await api("GET", path, { query: { limit, cursor: from } });
    cursor = answer.next_cursor;
    return answer[member].map(row);
  }

  async function add() {
    button.disabled = true;
    try {
      const rows = await page(cursor);
      list.append(...rows);
      place.hidden = cursor === null;
      // The keyboard goes on at what is new.
      rows[0]?.setAttribute("tabindex", "-1");
      rows[0]?.focus();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      announce(words(problem));
    } finally {
      button.disabled = false;
    }
  }

  return async () => {
    const mine = ++asked;
    let rows;
    try {
      rows = await page(null);
      if (!rows.length && empty) rows = [el("li", { class: "muted" }, empty)];
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (problem.status === 401) return;
      rows = [el("li", { class: "bad" }, words(problem))];
      cursor = null;
    }
    if (mine !== asked) return;
    list.replaceChildren(...rows);
    list.removeAttribute("aria-busy");
    place.hidden = cursor === null;
  };
}
