/* The audit log with its filters. */

import { events } from "./console-events.js";
import { filters } from "./console-filters.js";
import { choice, field, input } from "./console-form.js";
import { stayAt, to } from "./console-place.js";
import { userLinks } from "./console-user-link.js";
import { wordsFor } from "./console-words.js";
import { el } from "./dom.js";
import { around, t } from "./messages.js";

const EVENTS = [
  "login_succeeded",
  "login_failed",
  "logged_out",
  "sessions_ended",
  "refresh_reused",
  "reauthenticated",
  "reauthentication_failed",
  "user_created",
  "user_changed",
  "user_renamed",
  "user_deleted",
  "users_imported",
  "users_exported",
  "password_changed",
  "password_change_failed",
  "password_reset_requested",
  "password_reset",
  "email_added",
  "email_confirmed",
  "email_removed",
  "email_made_primary",
  "invitation_created",
  "invitation_used",
  "invitation_withdrawn",
  "keys_rotated",
  "keys_revoked",
  "master_key_changed",
  "mail_retried",
];

export function open({ query }) {
  const names = {
    maxlength: "320",
    placeholder: t("console.audit.name_or_id"),
    autocapitalize: "none",
    spellcheck: "false",
  };
  const controls = {
    actor: input("actor", names),
    target: input("target", names),
    event: choice("event", [
      ["", t("console.audit.any_event")],
      ...EVENTS.map((each) => [each, wordsFor("console.event", each)]),
    ]),
    from: input("from", { type: "datetime-local" }),
    to: input("to", { type: "datetime-local" }),
  };
  const user = query.get("user") ?? "";
  for (const [key, control] of Object.entries(controls)) control.value = query.get(key) ?? "";
  const typed = () => Object.fromEntries(Object.entries(controls).map(([key, control]) => [key, control.value.trim()]));
  const list = events({
    name: "audit",
    caption: t("console.audit.caption"),
    query: () => ({ ...typed(), user, from: instant(controls.from.value), to: instant(controls.to.value) }),
  });
  const asked = filters(
    Object.entries(controls).map(([key, control]) => field(control, t(`console.audit.filter.${key}`))),
    () => {
      stayAt(to("audit", { user, ...typed() }));
      list.restart();
    },
  );
  list.show();
  return { title: t("console.audit.title"), content: [asked, user && whose(user), list.element] };
}

/** The server takes times with their offset; the field has the time of this browser's zone. */
function instant(local) {
  return local && new Date(local).toISOString();
}

function whose(id) {
  return el(
    "p",
    {},
    around("console.audit.only", { user: userLinks()(id) }),
    " ",
    el("a", { href: to("audit") }, t("console.audit.all")),
  );
}
