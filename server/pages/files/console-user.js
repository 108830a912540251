/* One user: who it is, what may be done, the sessions, and what happened. */

import { announce } from "./announce.js";
import { api } from "./api.js";
import { events } from "./console-events.js";
import { go, to } from "./console-place.js";
import { hand, linkTo } from "./console-secret.js";
import { sessions } from "./console-sessions.js";
import { facts } from "./console-table.js";
import { worker } from "./console-trouble.js";
import { at, name, since, stateOf, whole } from "./console-words.js";
import { confirm } from "./dialog.js";
import { el } from "./dom.js";
import { around, span, t } from "./messages.js";

export async function open({ id, me }) {
  let { user } = await api("GET", `/users/${encodeURIComponent(id)}`);
  const about = el("div");
  const said = el("div", { class: "said" });
  const living = sessions(user);
  const happened = events({
    name: "events",
    caption: t("console.user.happened"),
    query: () => ({ user: user.id }),
    limit: 20,
  });

  const sure = (what) =>
    confirm({
      title: around(`console.user.${what}_title`, { name: name(user.name) }),
      text: [t(`console.user.${what}_text`), user.id === me.id && ` ${t("console.user.yourself")}`],
      action: t(`console.user.${what}`),
      danger: true,
    });

  const reset = worker({
    label: t("console.user.reset"),
    place: said,
    work: async () => {
      const answer = await api("POST", `/users/${user.id}/password-reset`);
      hand({
        place: said,
        title: t("console.user.reset_title"),
        text: around("console.user.reset_text", { name: name(user.name), span: span(answer.expires_in) }),
        link: answer.reset_url ?? (await linkTo("/reset-password", answer.reset_token)),
      });
      await happened.show();
    },
  });

  const toggle = worker({
    label: "",
    place: said,
    work: async () => {
      const disabled = !user.disabled;
      if (disabled && !(await sure("disable"))) return;
      ({ user } = await api("PATCH", `/users/${user.id}`, { body: { disabled } }));
      describe();
      await Promise.all([living.restart(), happened.restart()]);
      announce(t(disabled ? "console.user.disabled" : "console.user.enabled", { name: user.name }));
    },
  });

  const verify = worker({
    label: t("console.user.verify"),
    place: said,
    work: async () => {
      ({ user } = await api("PATCH", `/users/${user.id}`, { body: { email: user.email } }));
      describe();
      await happened.restart();
      announce(t("console.user.verified", { email: user.email }));
    },
  });

  const remove = worker({
    label: t("console.user.delete"),
    kind: "danger",
    place: said,
    work: async () => {
      if (!(await sure("delete"))) return;
      await api("DELETE", `/users/${user.id}`);
      go(to("users"));
      announce(t("console.user.deleted", { name: user.name }));
    },
  });

  function describe() {
    about.replaceChildren(facts(factsOf(user)));
    verify.hidden = user.email === null || user.email_verified;
    toggle.textContent = t(user.disabled ? "console.user.enable" : "console.user.disable");
  }

  describe();
  living.show();
  happened.show();
  const edit = el("a", { class: "button", href: to("users", { id: user.id, part: "edit" }) }, t("console.user.edit"));
  return {
    title: user.name,
    content: [
      el("div", { class: "actions" }, reset, edit, toggle, verify, remove),
      said,
      about,
      el("h2", {}, t("console.sessions.title")),
      living.element,
      el("h2", {}, t("console.user.happened")),
      happened.element,
      el("p", {}, el("a", { href: to("audit", { user: user.id }) }, t("console.user.in_audit"))),
    ],
  };
}

function factsOf(user) {
  return [
    [...user.name].length > 60 && [t("console.name"), whole(user.name)],
    [t("console.username"), whole(user.username)],
    [
      t("console.email"),
      user.email ? [whole(user.email), !user.email_verified && ` (${t("console.unverified")})`] : "—",
    ],
    [t("console.role"), whole(user.role)],
    [t("console.state"), stateOf(user)],
    [
      t("console.last_login"),
      user.last_login_at ? [at(user.last_login_at), " (", since(user.last_login_at), ")"] : t("console.never"),
    ],
    [t("console.created"), at(user.created_at)],
    [t("console.id"), el("code", {}, user.id)],
  ].filter(Boolean);
}
