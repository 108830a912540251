/* What an admin may change of a user. Only what differs is sent, so it undoes nothing that another admin has changed. */

import { announce } from "./announce.js";
import { api } from "./api.js";
import { choice, field, form, input } from "./console-form.js";
import { go, to } from "./console-place.js";
import { roles } from "./console-roles.js";
import { name as named } from "./console-words.js";
import { around, t } from "./messages.js";

export async function open({ id }) {
  const [names, { user }] = await Promise.all([roles(), api("GET", `/users/${encodeURIComponent(id)}`)]);
  const plain = { autocapitalize: "none", spellcheck: "false" };
  const disabled = input("disabled", { type: "checkbox" });
  disabled.checked = user.disabled;
  const page = to("users", { id: user.id });
  const edit = form({
    name: "edit-user",
    fields: [
      field(input("name", { required: true, value: user.name }), t("console.name"), t("console.name_hint")),
      field(
        input("username", { required: true, value: user.username, ...plain }),
        t("console.username"),
        t("console.edit_user.username_hint"),
      ),
      field(
        input("email", { inputmode: "email", value: user.email ?? "", ...plain }),
        t("console.email_optional"),
        t("console.email_hint"),
      ),
      field(
        choice(
          "role",
          [...new Set([...names, user.role])].map((each) => [each, each]),
          user.role,
        ),
        t("console.role"),
        t("console.edit_user.role_hint"),
      ),
      field(disabled, t("console.state.disabled"), t("console.edit_user.disabled_hint")),
    ],
    action: t("console.edit_user.save"),
    back: page,
    codes: { last_admin: "role" },
    submit: async (values) => {
      const wanted = {
        name: values.name.trim(),
        username: values.username.trim(),
        email: values.email.trim() || null,
        role: values.role,
        disabled: disabled.checked,
      };
      const differs = Object.entries(wanted).filter(([key, value]) => value !== (user[key] ?? null));
      if (differs.length) await api("PATCH", `/users/${user.id}`, { body: Object.fromEntries(differs) });
      go(page);
      announce(t("console.edit_user.saved"));
    },
  });
  return { title: around("console.edit_user.title", { name: named(user.name) }), content: [edit] };
}
