/* The section of /account about email addresses. */

import { announce, notice } from "./announce.js";
import { api } from "./api.js";
import { confirm } from "./dialog.js";
import { byId, el, foreign } from "./dom.js";
import { around, t } from "./messages.js";
import { Problem, words } from "./problem.js";

/** Show the addresses. Returns a function that reads them anew. */
export function showEmails() {
  const list = byId("emails");

  async function read() {
    let rows;
    try {
      const { emails } = await api("GET", "/me/emails");
      rows = emails.length ? emails.map(emailRow) : [el("li", { class: "muted" }, t("emails.none"))];
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (problem.status === 401) return;
      rows = [el("li", { class: "bad" }, words(problem))];
    }
    list.replaceChildren(...rows);
    list.removeAttribute("aria-busy");
  }

  function emailRow({ id, email, verified, primary }) {
    const badges = [
      primary && el("span", { class: "badge good" }, t("emails.primary")),
      !verified && el("span", { class: "badge late" }, t("emails.unverified")),
    ].filter(Boolean);
    const button = (text, label, action) =>
      el("button", { type: "button", class: "small", "aria-label": `${label}: ${email}`, onclick: action }, text);
    const buttons = [
      verified && !primary && button(t("emails.make_primary"), t("emails.make_primary"), () =>
        change("POST", `/me/emails/${id}/primary`, t("emails.made_primary"))),
      button(t("emails.remove"), t("emails.remove"), async () => {
        const text = around("emails.remove_text", { email: foreign(email) });
        if (await confirm({ title: t("emails.remove_title"), text, action: t("emails.remove"), danger: true })) {
          await change("DELETE", `/me/emails/${id}`, t("emails.removed"));
        }
      }),
    ];
    return el("li", {}, el("div", {}, el("p", {}, foreign(email), ...badges.flatMap((badge) => [" ", badge]))),
      el("div", { class: "buttons" }, buttons));
  }

  async function change(method, path, said) {
    notice("account");
    try {
      await api(method, path);
      announce(said);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (problem.status === 401 || problem.code === "cancelled") return;
      notice("account", words(problem));
    }
    await read();
    byId("emails-title").setAttribute("tabindex", "-1");
    byId("emails-title").focus();
  }

  read();
  return read;
}
