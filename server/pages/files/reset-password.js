/* The page at /reset-password: by the link of a mail or of an admin (`#token`), or for who has forgotten the password. */

import { send } from "./api.js";
import { byId, show } from "./dom.js";
import { submits } from "./form.js";
import { tokenOfAddress } from "./fragment.js";
import { pageSettings } from "./layout.js";
import { askForCode, sendsAgain } from "./mailed-code.js";
import { t } from "./messages.js";
import { reveals, tellRules } from "./password-field.js";
import { Problem } from "./problem.js";
import { keepReturn, searchOn } from "./return-to.js";
import { begin, finish, turnTo, wayOn } from "./states.js";

const MAILED = "wwf_";
const waiting = history.state?.waiting;
const token = tokenOfAddress();

/** Show the form of a new password. `proof(values)` says for whom it is. */
async function setPassword(state, proof) {
  const form = turnTo(state);
  reveals(form);
  submits(form, async (values) => {
    try {
      await send("POST", "/password/reset", { body: { ...proof(values), new_password: values.new_password } });
    } catch (problem) {
      if (problem.code === "code_required") return askForCode(form);
      if (problem.code === "reset_invalid") return tellInvalid();
      throw problem;
    }
    return finish(t("reset.done"), t("reset.done_text"), wayOn(`/sign-in${searchOn()}`, t("sign_in.title")));
  });
  await tellRules(form.elements.namedItem("new_password"));
  return form;
}

function tellInvalid() {
  // An admin has made this one.
  if (token && !token.startsWith(MAILED)) return finish(t("reset.invalid"), t("reset.invalid_text"));
  return finish(t("reset.invalid"), t("reset.invalid_mailed"), wayOn(`/reset-password${searchOn()}`, t("forgot.another")));
}

function askForName() {
  const form = turnTo("forgotten");
  byId("state").querySelector(".to-sign-in").search = location.search;
  submits(form, async ({ identifier }) => {
    await forgot(identifier);
    await askForNewPassword(identifier.trim(), true);
    // Phones load a page again when one comes back from the mails.
    history.replaceState({ waiting: identifier.trim() }, "");
  });
  byId("have-code").addEventListener("click", () => {
    askForNewPassword(form.elements.namedItem("identifier").value.trim(), false);
  });
  begin(form);
}

async function forgot(identifier) {
  keepReturn();
  try {
    await send("POST", "/password/forgot", { body: { identifier: identifier.trim() } });
  } catch (problem) {
    if (problem.code === "mail_not_configured") tellNoMail();
    throw problem;
  }
}

/** By the code of a mail, which was just sent, or has come before. */
async function askForNewPassword(name, sent) {
  const form = await setPassword("by-code", ({ identifier, code }) => ({ identifier: identifier.trim(), code }));
  const field = form.elements.namedItem("identifier");
  field.value = name;
  if (sent) show(byId("sent"));
  sendsAgain(form, () => forgot(field.value));
  byId("other-name").addEventListener("click", () => {
    history.replaceState(null, "");
    askForName();
  });
  begin(form);
}

function tellNoMail() {
  finish(t("forgot.title"), t("forgot.no_mail"), wayOn(`/sign-in${location.search}`, t("sign_in.title")));
}

async function open() {
  if (token) {
    begin(await setPassword("by-link", ({ code }) => ({ reset_token: token, ...(code ? { code } : {}) })));
    return;
  }
  if (waiting) {
    await askForNewPassword(waiting, true);
    return;
  }
  let enabled = true;
  try {
    ({ mail: { enabled } } = await pageSettings());
  } catch (problem) {
    // The server says it again when a mail is asked for.
    if (!(problem instanceof Problem)) throw problem;
  }
  if (enabled) askForName();
  else tellNoMail();
}

await open();
byId("state").removeAttribute("aria-busy");
