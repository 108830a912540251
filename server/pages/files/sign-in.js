/* The page at /sign-in: by a password, or by the code or the link of a mail (`#token`). */

import { awaitConfirmation } from "./confirm-account.js";
import { byId, show } from "./dom.js";
import { submits } from "./form.js";
import { tokenOfAddress } from "./fragment.js";
import { pageSettings } from "./layout.js";
import "./password-field.js";
import { Problem } from "./problem.js";
import { leave, searchOn } from "./return-to.js";
import { goesOn, onSignIn, signIn } from "./session.js";
import { askForName, askForTheCode, signInByLink } from "./sign-in-code.js";

const waiting = history.state?.waiting;
const token = tokenOfAddress();
const form = byId("sign-in");

submits(form, async ({ username, password }) => {
  try {
    await signIn(username.trim(), password);
  } catch (problem) {
    if (problem.code === "email_not_confirmed") {
      return awaitConfirmation({ username: username.trim(), password, email: "" });
    }
    const field = form.elements.namedItem("password");
    field.focus();
    field.select();
    throw problem;
  }
  return leave();
});
if (token.startsWith("wws_")) signInByLink(token);
else if (waiting) askForTheCode(waiting);
else form.elements.namedItem("username").focus();

// The link of a mail does not say where to go on.
const goOn = () => leave(token ? searchOn() : location.search);
onSignIn(goOn);
if (await goesOn()) await goOn();

/** What else one can do here depends on the settings. */
async function offerMore() {
  const { registration, mail } = await pageSettings();
  if (registration.mode === "open") offer("to-sign-up");
  if (mail.enabled) offer("to-reset");
  if (!mail.sign_in_codes || !form.isConnected) return;
  show(byId("to-code"));
  byId("to-code").firstElementChild.addEventListener("click", () => {
    askForName(form.elements.namedItem("username").value.trim());
  });
}

function offer(id) {
  const place = byId(id);
  // Another state may be shown already.
  if (!place) return;
  place.querySelector("a").search = location.search;
  show(place);
}

await offerMore().catch((problem) => {
  if (!(problem instanceof Problem)) throw problem;
});
