/* The form for the code of an address that is not confirmed yet, below the address. */

import { api, send } from "./api.js";
import { el, hide, show } from "./dom.js";
import { submits } from "./form.js";
import { sendsAgain } from "./mailed-code.js";
import { t } from "./messages.js";

/** The form as `element`, and `open()`, which shows it. `sent`: a mail has just been sent, so it is open. */
export function codeForm({ id, email }, { sent, done }) {
  const field = `code-${id}`;
  const form = el("form", { method: "post", novalidate: true, hidden: !sent, "aria-label": `${t("emails.confirm")}: ${email}` },
    sent && el("p", { class: "good" }, t("emails.added")),
    el("div", { class: "field" },
      el("label", { for: field }, t("code.label")),
      el("input", { id: field, name: "code", type: "text", class: "code", autocomplete: "one-time-code", autocapitalize: "characters",
        spellcheck: "false", maxlength: 40, required: true, "aria-describedby": `${field}-hint ${field}-error` }),
      el("p", { class: "hint", id: `${field}-hint` }, t("code.hint")),
      el("p", { class: "error", id: `${field}-error`, hidden: true })),
    el("p", { class: "error form-error", role: "alert", hidden: true }),
    el("div", { class: "actions" },
      el("button", { type: "submit" }, t("confirm_email.submit")),
      el("button", { type: "button", class: "again" }, t("code.again"))));
  submits(form, async ({ code }) => {
    await send("POST", "/email/confirm", { body: { email, code } });
    await done();
  });
  sendsAgain(form, () => api("POST", `/me/emails/${id}/send`), { waits: sent });
  return {
    element: form,
    open() {
      if (form.hidden) show(form);
      else hide(form);
      if (!form.hidden) form.elements.namedItem("code").focus();
    },
  };
}
