/* The keys that sign: which there are, letting the next one follow, and revoking one. */

import { announce } from "./announce.js";
import { api } from "./api.js";
import { List } from "./console-list.js";
import { worker } from "./console-trouble.js";
import { at, badge, name, wordsFor } from "./console-words.js";
import { confirm } from "./dialog.js";
import { el } from "./dom.js";
import { t } from "./messages.js";

const TONES = { active: "good", next: "", retired: "late", revoked: "bad" };
// Its secrets are in the settings, so there is nothing to do here.
const SHARED = "HS256";

export function open() {
  const said = el("div", { class: "said" });
  const shared = el("p", { class: "notice", hidden: true }, t("console.keys.shared"));
  const list = new List({
    name: "keys",
    caption: t("console.keys.title"),
    empty: t("console.keys.none"),
    columns: [
      { title: t("console.keys.key"), cell: ({ kid }) => el("code", {}, name(kid)) },
      { title: t("console.keys.algorithm"), cell: ({ algorithm }) => name(algorithm) },
      {
        title: t("console.state"),
        cell: ({ state }) => [
          badge(wordsFor("console.keys.state", state), TONES[state]),
          el("small", {}, wordsFor("console.keys.means", state)),
        ],
      },
      { title: t("console.keys.created"), cell: (key) => at(key.created_at) },
      {
        title: t("console.keys.activates"),
        cell: (key) => (key.activates_at ? at(key.activates_at) : t("console.keys.when_asked")),
      },
      { title: t("console.keys.until"), cell: (key) => at(key.accepted_until) },
      { title: t("console.action"), cell: (key) => key.state !== "revoked" && key.algorithm !== SHARED && revoke(key) },
    ],
    load: async () => {
      const { keys } = await api("GET", "/keys");
      const own = keys.some(({ algorithm }) => algorithm !== SHARED);
      rotate.hidden = !own;
      shared.hidden = own;
      return { rows: keys, next_cursor: null };
    },
  });

  const rotate = worker({
    label: t("console.keys.rotate"),
    place: said,
    work: async () => {
      const sure = await confirm({
        title: t("console.keys.rotate_title"),
        text: t("console.keys.rotate_text"),
        action: t("console.keys.rotate"),
      });
      if (!sure) return;
      await api("POST", "/keys/rotate");
      await list.show();
      announce(t("console.keys.rotated"));
    },
  });

  function revoke({ kid, state }) {
    return worker({
      label: t("console.keys.revoke"),
      of: kid,
      kind: "small danger",
      place: said,
      work: async () => {
        const sure = await confirm({
          title: t("console.keys.revoke_title"),
          text: [
            t("console.keys.revoke_text"),
            " ",
            t(state === "active" ? "console.keys.revoke_active" : "console.keys.revoke_other"),
          ],
          action: t("console.keys.revoke"),
          danger: true,
        });
        if (!sure) return;
        await api("POST", `/keys/${encodeURIComponent(kid)}/revoke`);
        await list.show();
        list.focus();
        announce(t("console.keys.revoked"));
      },
    });
  }

  rotate.hidden = true;
  list.show();
  return {
    title: t("console.keys.title"),
    content: [el("p", {}, t("console.keys.text")), shared, el("div", { class: "actions" }, rotate), said, list.element],
  };
}
