/* A new invitation: a link with which somebody makes an account. */

import { announce } from "./announce.js";
import { api } from "./api.js";
import { closedNote } from "./console-invitations.js";
import { choice, field, form, input } from "./console-form.js";
import { to } from "./console-place.js";
import { roles } from "./console-roles.js";
import { hand, linkTo } from "./console-secret.js";
import { at, name } from "./console-words.js";
import { el } from "./dom.js";
import { around, count, t } from "./messages.js";

const DAY_SECONDS = 86_400;
const DAYS = [1, 3, 7, 30];

export async function open() {
  const names = await roles();
  const content = el("div");
  content.append(
    form({
      name: "invite",
      fields: [
        field(
          input("email", { inputmode: "email", autocapitalize: "none", spellcheck: "false" }),
          t("console.email_optional"),
          t("console.invite.email_hint"),
        ),
        field(
          choice("role", [["", t("console.invite.usual_role")], ...names.map((each) => [each, each])]),
          t("console.role"),
        ),
        field(
          choice(
            "days",
            DAYS.map((days) => [String(days), count("console.days", days)]),
            "7",
          ),
          t("console.invite.lasts"),
        ),
        field(
          input("uses", { inputmode: "numeric", required: true, value: "1" }),
          t("console.invite.uses"),
          t("console.invite.uses_hint"),
        ),
      ],
      action: t("console.invite.make"),
      back: to("users"),
      submit: async ({ email, role, days, uses }) => {
        const body = { expires_in: Number(days) * DAY_SECONDS, uses: /^\d+$/.test(uses.trim()) ? Number(uses) : uses };
        if (email.trim()) body.email = email.trim();
        if (role) body.role = role;
        await tell(content, await api("POST", "/invitations", { body }));
      },
    }),
  );
  return { title: t("console.invite.title"), content: [closedNote(), content] };
}

async function tell(content, { invitation, invitation_token: token, invitation_url: url, mailed }) {
  const link = url ?? (await linkTo("/invitation", token));
  const place = el("div");
  content.replaceChildren(
    place,
    el("p", { class: "actions" }, el("a", { class: "button", href: to("invitations") }, t("console.invite.all"))),
  );
  const parts = {
    role: name(invitation.role),
    email: invitation.email && name(invitation.email),
    at: at(invitation.expires_at),
  };
  const text = [
    ...around(invitation.email ? "console.invite.text_for" : "console.invite.text", parts),
    " ",
    count("console.invite.times", invitation.uses),
    ...(mailed ? [" ", ...around("console.invite.mailed", { email: name(invitation.email) })] : []),
  ];
  hand({ place, title: t("console.invite.made"), text, link });
  announce(t("console.invite.made"));
}
