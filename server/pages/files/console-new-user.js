/* A new user, with a password, or with a link by which the user sets one. */

import { announce } from "./announce.js";
import { api } from "./api.js";
import { choice, field, form, input } from "./console-form.js";
import { to } from "./console-place.js";
import { roles } from "./console-roles.js";
import { hand, linkTo } from "./console-secret.js";
import { name as named } from "./console-words.js";
import { el, focusOn } from "./dom.js";
import { pageSettings } from "./layout.js";
import { around, t } from "./messages.js";

export async function open() {
  const [names, { password: rules }] = await Promise.all([roles(), pageSettings()]);
  const withPassword = input("with_password", { type: "checkbox" });
  const password = input("password", { type: "password", autocomplete: "new-password" });
  const chosen = field(
    password,
    t("console.new_user.password"),
    t("console.new_user.password_hint", { least: rules.min_length }),
  );
  const content = el("div");
  const made = form({
    name: "new-user",
    fields: [
      field(input("username", { required: true, autocapitalize: "none", spellcheck: "false" }), t("console.username")),
      field(input("name", { required: true }), t("console.name"), t("console.name_hint")),
      field(
        input("email", { inputmode: "email", autocapitalize: "none", spellcheck: "false" }),
        t("console.email_optional"),
        t("console.email_hint"),
      ),
      field(
        choice(
          "role",
          names.map((each) => [each, each]),
          names[0],
        ),
        t("console.role"),
      ),
      field(withPassword, t("console.new_user.with_password"), t("console.new_user.with_password_hint")),
      chosen,
    ],
    action: t("console.new_user.create"),
    back: to("users"),
    submit: async (values) => {
      const body = { username: values.username.trim(), name: values.name.trim(), role: values.role };
      if (values.email.trim()) body.email = values.email.trim();
      if (withPassword.checked) body.password = values.password;
      await tell(content, await api("POST", "/users", { body }));
    },
  });
  const show = () => {
    chosen.hidden = !withPassword.checked;
    password.required = withPassword.checked;
  };
  withPassword.addEventListener("change", show);
  show();
  content.append(made);
  return { title: t("console.new_user.title"), content: [content] };
}

async function tell(content, { user, reset_token: token, reset_url: url }) {
  const title = around("console.new_user.made", { name: named(user.name) });
  const place = el("div", {}, el("h2", {}, title));
  const further = el(
    "p",
    { class: "actions" },
    el("a", { class: "button", href: to("users", { id: user.id }) }, t("console.new_user.show")),
    el("a", { class: "button", href: to("users") }, t("console.new_user.all")),
  );
  const link = token && (url ?? (await linkTo("/reset-password", token)));
  content.replaceChildren(place, further);
  if (link) hand({ place, title, text: t("console.new_user.link_text"), link });
  else focusOn(place.firstElementChild);
  announce(t("console.new_user.made", { name: user.name }));
}
