/* The page at /confirm-email, by the link of a mail (`#token`) or by its code. To open it changes nothing. */

import { send } from "./api.js";
import { byId, focusOn, show } from "./dom.js";
import { submits } from "./form.js";
import { tokenOfAddress } from "./fragment.js";
import { askForCode } from "./mailed-code.js";
import { t } from "./messages.js";
import { searchOn } from "./return-to.js";
import { tellConfirmed } from "./session.js";
import { begin, finish, wayOn } from "./states.js";

const token = tokenOfAddress();
const form = byId("confirm-email");

// Who is signed in is led on from there.
const way = (label) => wayOn(`/sign-in${searchOn()}`, label);

submits(form, async ({ email, code }) => {
  const body = token ? { token, ...(code ? { code } : {}) } : { email: email.trim(), code };
  try {
    await send("POST", "/email/confirm", { body });
  } catch (problem) {
    if (problem.code === "code_required") return askForCode(form);
    if (problem.code === "confirmation_invalid") {
      return finish(t("confirm_email.invalid"), t("confirm_email.invalid_text"), way(t("sign_in.title")));
    }
    throw problem;
  }
  tellConfirmed();
  finish(t("confirm_email.done"), t("confirm_email.done_text"), way(t("confirm_email.go_on")));
});

if (token) {
  focusOn(form.querySelector('button[type="submit"]'));
} else {
  byId("text").textContent = t("confirm_email.by_code");
  form.elements.namedItem("email").required = true;
  form.elements.namedItem("code").required = true;
  show(byId("address"), form.elements.namedItem("code").closest(".field"));
  begin(form);
}
