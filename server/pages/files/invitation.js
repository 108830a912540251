/* The page at /invitation#token. */

import { byId, foreign, hide } from "./dom.js";
import { tokenOfAddress } from "./fragment.js";
import { time, t } from "./messages.js";
import { offerAccount, refuse } from "./new-account.js";
import { Problem, send } from "./api.js";
import { words } from "./problem.js";

const token = tokenOfAddress();

async function open() {
  const greeting = byId("greeting");
  if (!token) {
    hide(greeting);
    refuse(t("invitation.missing"));
    return;
  }
  try {
    const { email, expires_at: until } = await send("POST", "/invitations/check", { body: { invitation_token: token } });
    const values = { time: time(until) };
    greeting.textContent = t("invitation.welcome", values);
    const more = { invitation_token: token };
    if (email) {
      greeting.append(" ", ...t("invitation.for", { email: "\n" }).split("\n").flatMap((part, at) => (at ? [foreign(email), part] : [part])));
      // Its owner is known, so nothing else can be typed.
      const field = byId("new-account").elements.namedItem("email");
      field.value = email;
      field.readOnly = true;
    }
    offerAccount(more);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    hide(greeting);
    refuse(words(problem));
  }
}

await open();
