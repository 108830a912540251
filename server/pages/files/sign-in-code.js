/* Signing in by a mail, without a password: by its code, or by its link. */

import { send } from "./api.js";
import { byId, focusOn } from "./dom.js";
import { submits } from "./form.js";
import { askForCode, sendsAgain } from "./mailed-code.js";
import { t } from "./messages.js";
import { keepReturn, leave, searchOn } from "./return-to.js";
import { signInBy } from "./session.js";
import { begin, finish, turnTo, wayOn } from "./states.js";

const CONFIRM = "/login/code/confirm";

/** Ask who wants a mail. `name` is what is known already. */
export function askForName(name) {
  const form = turnTo("ask-code");
  leadBack();
  form.elements.namedItem("identifier").value = name;
  submits(form, async ({ identifier }) => {
    keepReturn();
    askForTheCode(await mailed(identifier.trim()));
  });
  begin(form);
}

/** Have a mail sent. What it belongs to stays in this entry of the history: phones load a page again when one comes back
 * from the mails. */
async function mailed(identifier) {
  const { challenge } = await send("POST", "/login/code", { body: { identifier } });
  const waiting = { identifier, challenge };
  history.replaceState({ waiting }, "");
  return waiting;
}

/** Take the code. `waiting` is what `history.state` of this name has. */
export function askForTheCode(waiting) {
  const form = turnTo("code-sent");
  leadBack();
  let { challenge } = waiting;
  submits(form, async ({ code }) => {
    await signInBy(CONFIRM, { challenge, code });
    await leave();
  });
  sendsAgain(form, async () => {
    ({ challenge } = await mailed(waiting.identifier));
  });
  begin(form);
}

/** Let whoever has opened the link of a mail sign in by a button, and by the code too if another browser has asked. */
export function signInByLink(token) {
  const form = turnTo("link");
  leadBack(searchOn());
  submits(form, async ({ code }) => {
    try {
      await signInBy(CONFIRM, { token, ...(code ? { code } : {}) });
    } catch (problem) {
      if (problem.code === "code_required") return askForCode(form);
      // Without a code it was the link.
      if (problem.code === "code_invalid" && !code) return tellOver();
      throw problem;
    }
    return leave(searchOn());
  });
  focusOn(form.querySelector('button[type="submit"]'));
}

function tellOver() {
  finish(t("sign_in_code.over"), t("sign_in_code.over_text"), wayOn(`/sign-in${searchOn()}`, t("sign_in.title")));
}

function leadBack(search = location.search) {
  const link = byId("state").querySelector(".to-password");
  link.search = search;
  // It may lead to this very address, and a browser takes that for loading the page again.
  link.addEventListener("click", () => history.replaceState(null, ""));
}
