/* The page at /sign-up. */

import { byId, hide } from "./dom.js";
import { pageSettings } from "./layout.js";
import { t } from "./messages.js";
import { offerAccount, orLater, refuse } from "./new-account.js";
import { Problem, words } from "./problem.js";

const form = byId("sign-up");

async function open() {
  hide(byId("refused"));
  try {
    const { registration, mail } = await pageSettings();
    if (registration.mode === "open") offer(mail.enabled);
    else refuse(form, t(`sign_up.${registration.mode}`));
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    refuse(form, words(problem), orLater(problem, open));
  }
}

/** `mail`: the address is needed, and is confirmed before the first sign-in. */
function offer(mail) {
  const field = form.elements.namedItem("email");
  field.required = mail;
  if (mail) field.labels[0].textContent = t("new_account.email_needed");
  offerAccount(form, {}, { confirms: mail });
}

byId("to-sign-in").search = location.search;
await open();
