/* A list of which the server gives a page at a time, by cursor. */

import { announce } from "./announce.js";
import { keep, kept } from "./console-place.js";
import { table } from "./console-table.js";
import { trouble } from "./console-trouble.js";
import { el, focusOn } from "./dom.js";
import { count, t } from "./messages.js";

/** A list that shows its first page, or the one at which somebody left it.
 *
 * `load({cursor})` resolves to `{rows, next_cursor}`. `name` is the one under which the history keeps the page. Only the
 * answer to the last question counts, in whatever order answers come. */
export class List {
  constructor({ name, caption, columns, load, empty }) {
    Object.assign(this, { name, caption, columns, load, empty });
    this.asked = 0;
    // The cursors of all pages up to the one that is shown; the first page has none.
    this.cursors = kept(name) ?? [""];
    this.content = el("div");
    this.previous = el(
      "button",
      { type: "button", onclick: () => this.turn(this.cursors.slice(0, -1)) },
      t("console.list.previous"),
    );
    this.next = el(
      "button",
      { type: "button", onclick: () => this.turn([...this.cursors, this.following]) },
      t("console.list.next"),
    );
    this.page = el("span", { class: "muted" });
    this.pager = el("div", { class: "pager", hidden: true }, this.previous, this.page, this.next);
    this.element = el("div", { class: "list" }, this.content, this.pager);
  }

  /** Show the first page, as after another filter, and say what there is. */
  async restart() {
    this.cursors = [""];
    keep(this.name, this.cursors);
    await this.show();
    this.say();
  }

  async turn(cursors) {
    this.cursors = cursors;
    keep(this.name, cursors);
    await this.show();
    this.focus();
    this.content.scrollIntoView({ block: "start" });
    this.say();
  }

  async show() {
    this.asked += 1;
    const { asked } = this;
    this.element.setAttribute("aria-busy", "true");
    let answer;
    let content;
    try {
      answer = await this.load({ cursor: this.cursors.at(-1) });
      content = answer.rows.length ? table({ ...this, rows: answer.rows }) : el("p", { class: "muted" }, this.empty);
    } catch (problem) {
      answer = { rows: [], next_cursor: null };
      content = trouble(problem, () => this.show());
    }
    if (asked !== this.asked) return;
    this.element.removeAttribute("aria-busy");
    this.content.replaceChildren(content);
    this.following = answer.next_cursor;
    this.previous.hidden = this.cursors.length === 1;
    this.next.hidden = !this.following;
    this.pager.hidden = this.previous.hidden && this.next.hidden;
    this.page.textContent = t("console.list.page", { page: this.cursors.length });
    this.rows = answer.rows.length;
  }

  /** Where the keyboard goes on when the button that was pressed is gone. */
  focus() {
    focusOn(this.content);
  }

  say() {
    announce(this.rows ? count("console.list.shown", this.rows, { list: this.caption }) : this.content.textContent);
  }
}
