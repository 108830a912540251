/* The section of /account about email addresses. */

import { codeForm } from "./account-email-code.js";
import { announce, notice } from "./announce.js";
import { api } from "./api.js";
import { confirm } from "./dialog.js";
import { byId, el, focusOn, foreign, show } from "./dom.js";
import { done, submits } from "./form.js";
import { pageSettings } from "./layout.js";
import { around, t } from "./messages.js";
import { Problem, words } from "./problem.js";

/** Show the addresses. Returns a function that reads them anew. */
export function showEmails() {
  const list = byId("emails");
  let mail = false;
  // The id of the address for which a code is being typed.
  let asked = null;

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

  function emailRow(address) {
    const { id, email, verified, primary } = address;
    const badges = [
      primary && el("span", { class: "badge good" }, t("emails.primary")),
      !verified && el("span", { class: "badge late" }, t("emails.unverified")),
    ].filter(Boolean);
    const button = (text, action, more = {}) =>
      el("button", { type: "button", class: "small", "aria-label": `${text}: ${email}`, onclick: action, ...more }, text);
    const code = !verified && mail && codeForm(address, { sent: asked === id, done: () => changed(t("emails.confirmed")) });
    const buttons = [
      code && button(t("emails.confirm"), () => code.open(), { "data-action": "confirm" }),
      verified && !primary && button(t("emails.make_primary"), () =>
        change("POST", `/me/emails/${id}/primary`, t("emails.made_primary"))),
      button(t("emails.remove"), async () => {
        const text = around(verified ? "emails.remove_text" : "emails.remove_unverified", { email: foreign(email) });
        if (await confirm({ title: t("emails.remove_title"), text, action: t("emails.remove"), danger: true })) {
          await change("DELETE", `/me/emails/${id}`, t("emails.removed"));
        }
      }),
    ];
    return el("li", {}, el("div", {}, el("p", {}, foreign(email), ...badges.flatMap((badge) => [" ", badge]))),
      el("div", { class: "buttons" }, buttons), code && code.element);
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
    await goOn();
  }

  /** What was pressed is gone, so the keyboard goes on at the title. */
  async function goOn() {
    asked = null;
    await read();
    focusOn(byId("emails-title"));
  }

  async function changed(said) {
    await goOn();
    announce(said);
  }

  /** Let people add an address: it counts once it is confirmed by a mail. */
  function offerMore() {
    const form = byId("add-email");
    submits(form, async ({ email }) => {
      const typed = email.trim();
      await api("POST", "/me/emails", { body: { email: typed } });
      form.reset();
      const { emails } = await api("GET", "/me/emails");
      const own = emails.find((one) => one.email.toLowerCase() === typed.toLowerCase());
      if (own?.verified) {
        done(form, t("problem.email_already_verified"));
        return;
      }
      // It may be written in another way now.
      asked = (own ?? emails.filter(({ verified }) => !verified).at(-1))?.id ?? null;
      await read();
      list.querySelector("form")?.elements.namedItem("code").focus();
      announce(t("emails.added"));
    });
    byId("emails-hint").textContent = t("emails.hint_mail");
    show(form);
  }

  pageSettings().then(({ mail: { enabled } }) => {
    mail = enabled;
    if (enabled) offerMore();
  }).catch((problem) => {
    if (!(problem instanceof Problem)) throw problem;
  }).then(read);
  return read;
}
