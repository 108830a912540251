/* A new account whose address has to be confirmed before its first sign-in: by the link of a mail, or by its code. */

import { send } from "./api.js";
import { byId, foreign } from "./dom.js";
import { submits } from "./form.js";
import { sendsAgain } from "./mailed-code.js";
import { around } from "./messages.js";
import { Problem } from "./problem.js";
import { keepReturn, leave } from "./return-to.js";
import { onConfirmed, signIn } from "./session.js";
import { begin, turnTo } from "./states.js";

/** Ask for the code, and sign in with it. `email` is empty if the address is not known here. */
export function awaitConfirmation({ username, password, email }) {
  keepReturn();
  const form = turnTo("confirm-account");
  byId("state").querySelector(".to-sign-in").search = location.search;
  const field = form.elements.namedItem("email");
  field.value = email;
  field.closest(".field").hidden = email !== "";
  if (email) byId("told").replaceChildren(...around("confirm_account.sent_to", { email: foreign(email) }));
  let confirmed = false;

  async function enter() {
    await signIn(username, password);
    await leave();
  }

  submits(form, async ({ email: address, code }) => {
    if (!confirmed) await send("POST", "/email/confirm", { body: { email: address.trim(), code } });
    // If only the sign-in fails, the code is used up.
    confirmed = true;
    await enter();
  });
  // A sign-in that has to wait for the confirmation sends the mail.
  sendsAgain(form, () => enter().catch((problem) => {
    if (problem.code !== "email_not_confirmed") throw problem;
  }));
  onConfirmed(() => enter().catch((problem) => {
    if (!(problem instanceof Problem)) throw problem;
  }));
  begin(form);
}
