/* The page at /invitation#token. */

import { send } from "./api.js";
import { byId, foreign, hide, show } from "./dom.js";
import { tokenOfAddress } from "./fragment.js";
import { pageSettings } from "./layout.js";
import { around, t, time } from "./messages.js";
import { offerAccount, orLater, refuse } from "./new-account.js";
import { Problem, words } from "./problem.js";

const token = tokenOfAddress();
const form = byId("invitation");
const greeting = byId("greeting");

async function open() {
  hide(byId("refused"));
  show(greeting);
  try {
    await welcome(await send("POST", "/invitations/check", { body: { invitation_token: token } }));
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    hide(greeting);
    refuse(form, words(problem), orLater(problem, open));
  }
}

async function welcome({ email, expires_at: until }) {
  greeting.textContent = t("invitation.welcome", { time: time(until) });
  if (email) {
    greeting.append(" ", ...around("invitation.for", { email: foreign(email) }));
    // The invitation is for this address, so none is asked for.
    const field = form.elements.namedItem("email");
    field.value = email;
    hide(field.closest(".field"));
  }
  // The address that the invitation is for needs no confirmation.
  offerAccount(form, { invitation_token: token }, { confirms: !email && await sendsMail() });
}

async function sendsMail() {
  try {
    return (await pageSettings()).mail.enabled;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    // The first sign-in tells it.
    return false;
  }
}

if (token) {
  await open();
} else {
  hide(greeting);
  refuse(form, t("invitation.missing"));
}
