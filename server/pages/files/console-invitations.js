/* Invitations: who was invited, by whom, and whether it was used; and their withdrawal. */

import { announce } from "./announce.js";
import { api } from "./api.js";
import { List } from "./console-list.js";
import { to } from "./console-place.js";
import { worker } from "./console-trouble.js";
import { userLinks } from "./console-user-link.js";
import { at, badge, name, since } from "./console-words.js";
import { confirm } from "./dialog.js";
import { el, visible } from "./dom.js";
import { pageSettings } from "./layout.js";
import { t, time } from "./messages.js";

const TONES = { open: "good", used_up: "", expired: "late", withdrawn: "bad" };

export function open() {
  const said = el("div", { class: "said" });
  const linked = userLinks();
  const list = new List({
    name: "invitations",
    caption: t("console.invitations.title"),
    empty: t("console.invitations.none"),
    columns: [
      {
        title: t("console.invitations.for"),
        cell: (row) => (row.email ? name(row.email) : t("console.invitations.anyone")),
      },
      { title: t("console.role"), cell: (row) => name(row.role) },
      {
        title: t("console.state"),
        cell: (row) => badge(t(`console.invitations.${stateOf(row)}`), TONES[stateOf(row)]),
      },
      {
        title: t("console.invitations.used"),
        cell: (row) => t("console.invitations.used_of", { used: row.used, uses: row.uses }),
      },
      { title: t("console.invitations.expires"), cell: (row) => at(row.expires_at) },
      {
        title: t("console.invitations.made"),
        cell: (row) => [
          since(row.created_at),
          el("small", {}, row.created_by ? linked(row.created_by) : t("console.via.command line")),
        ],
      },
      { title: t("console.action"), cell: (row) => stateOf(row) === "open" && withdraw(row) },
    ],
    load: async ({ cursor }) => {
      const answer = await api("GET", "/invitations", { query: { cursor } });
      return { rows: answer.invitations, next_cursor: answer.next_cursor };
    },
  });

  function withdraw(invitation) {
    return worker({
      label: t("console.invitations.withdraw"),
      of: invitation.email ? visible(invitation.email) : time(invitation.created_at),
      kind: "small danger",
      place: said,
      work: async () => {
        const sure = await confirm({
          title: t("console.invitations.withdraw_title"),
          text: t("console.invitations.withdraw_text"),
          action: t("console.invitations.withdraw"),
          danger: true,
        });
        if (!sure) return;
        await api("DELETE", `/invitations/${invitation.id}`);
        await list.show();
        list.focus();
        announce(t("console.invitations.was_withdrawn"));
      },
    });
  }

  list.show();
  return {
    title: t("console.invitations.title"),
    content: [
      el(
        "div",
        { class: "actions" },
        el("a", { class: "button primary", href: to("invitations", { id: "new" }) }, t("console.invite.title")),
      ),
      closedNote(),
      said,
      list.element,
    ],
  };
}

/** Something to read only where nobody may sign up. */
export function closedNote() {
  const note = el("p", { class: "notice", hidden: true }, t("console.invite.closed"));
  pageSettings().then(
    ({ registration }) => {
      note.hidden = registration.mode !== "closed";
    },
    () => {},
  );
  return note;
}

function stateOf(invitation) {
  if (invitation.withdrawn_at) return "withdrawn";
  if (invitation.used >= invitation.uses) return "used_up";
  return new Date(invitation.expires_at) <= Date.now() ? "expired" : "open";
}
