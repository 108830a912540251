/* The sessions of a user, and their end. */

import { announce } from "./announce.js";
import { api } from "./api.js";
import { List } from "./console-list.js";
import { worker } from "./console-trouble.js";
import { at, badge, name, since, whole } from "./console-words.js";
import { confirm } from "./dialog.js";
import { device } from "./device.js";
import { el } from "./dom.js";
import { around, t } from "./messages.js";

/** `{element, show, restart}`. */
export function sessions(user) {
  const said = el("div");
  const list = new List({
    name: "sessions",
    caption: t("console.sessions.title"),
    empty: t("console.sessions.none"),
    columns: COLUMNS.map(([key, cell]) => ({ title: t(key), cell })),
    load: async ({ cursor }) => {
      const answer = await api("GET", `/users/${user.id}/sessions`, { query: { limit: 10, cursor } });
      end.hidden = answer.sessions.length === 0;
      return { rows: answer.sessions, next_cursor: answer.next_cursor };
    },
  });
  const end = worker({
    label: t("console.sessions.end"),
    kind: "danger",
    place: said,
    work: async () => {
      const sure = await confirm({
        title: around("console.sessions.end_title", { name: name(user.name) }),
        text: t("console.sessions.end_text"),
        action: t("console.sessions.end"),
        danger: true,
      });
      if (!sure) return;
      await api("DELETE", `/users/${user.id}/sessions`);
      await list.restart();
      list.focus();
      announce(t("console.sessions.ended"));
    },
  });
  end.hidden = true;
  return {
    element: el("div", {}, list.element, el("div", { class: "actions" }, end), said),
    show: () => list.show(),
    restart: () => list.restart(),
  };
}

const COLUMNS = [
  [
    "console.sessions.device",
    (row) => [device(row.user_agent), row.current && " ", row.current && badge(t("console.sessions.this_one"))],
  ],
  ["console.ip", (row) => (row.ip ? whole(row.ip) : "—")],
  ["console.sessions.last_used", (row) => since(row.last_used_at)],
  ["console.sessions.began", (row) => at(row.created_at)],
  ["console.sessions.expires", (row) => at(row.expires_at)],
];
