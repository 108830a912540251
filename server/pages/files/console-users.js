/* All users: found as one types, filtered, a page at a time. */

import { api } from "./api.js";
import { filters } from "./console-filters.js";
import { choice, field, input, offer } from "./console-form.js";
import { List } from "./console-list.js";
import { stayAt, to } from "./console-place.js";
import { roles } from "./console-roles.js";
import { name, since, stateOf } from "./console-words.js";
import { el } from "./dom.js";
import { t } from "./messages.js";

export function open({ query }) {
  const chosen = query.get("role") ?? "";
  const controls = {
    q: input("q", {
      type: "search",
      maxlength: "200",
      autocapitalize: "none",
      spellcheck: "false",
      enterkeyhint: "search",
    }),
    role: choice("role", roleChoices(chosen ? [chosen] : []), chosen),
    disabled: choice(
      "disabled",
      [
        ["", t("console.users.any_state")],
        ["false", t("console.state.active")],
        ["true", t("console.state.disabled")],
      ],
      query.get("disabled") ?? "",
    ),
  };
  controls.q.value = query.get("q") ?? "";
  const wanted = () => ({ q: controls.q.value.trim(), role: controls.role.value, disabled: controls.disabled.value });
  const list = new List({
    name: "users",
    caption: t("console.users.title"),
    empty: t("console.users.none"),
    columns: COLUMNS.map(([key, cell]) => ({ title: t(key), cell })),
    load: async ({ cursor }) => {
      const answer = await api("GET", "/users", { query: { ...wanted(), cursor } });
      return { rows: answer.users, next_cursor: answer.next_cursor };
    },
  });
  const asked = filters(
    [
      field(controls.q, t("console.users.search")),
      field(controls.role, t("console.role")),
      field(controls.disabled, t("console.state")),
    ],
    () => {
      stayAt(to("users", wanted()));
      list.restart();
    },
  );
  offerRoles(controls.role);
  list.show();
  return { title: t("console.users.title"), content: [actions(), asked, list.element] };
}

function actions() {
  return el(
    "div",
    { class: "actions" },
    el("a", { class: "button primary", href: to("users", { id: "new" }) }, t("console.new_user.title")),
    el("a", { class: "button", href: to("invitations", { id: "new" }) }, t("console.invite.title")),
  );
}

/** The roles, as soon as they are known. The list is of use without them, and says itself what goes wrong. */
async function offerRoles(select) {
  const known = await roles().catch(() => []);
  offer(select, roleChoices([...new Set([...known, select.value])].filter(Boolean)));
}

function roleChoices(names) {
  return [["", t("console.users.any_role")], ...names.map((each) => [each, each])];
}

const COLUMNS = [
  [
    "console.user",
    (user) => [el("a", { href: to("users", { id: user.id }) }, name(user.name)), el("small", {}, name(user.username))],
  ],
  ["console.email", (user) => user.email && name(user.email)],
  ["console.role", (user) => name(user.role)],
  ["console.state", stateOf],
  ["console.last_login", (user) => since(user.last_login_at)],
];
