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
    const { registration } = await pageSettings();
    if (registration.mode === "open") offerAccount(form);
    else refuse(form, t(`sign_up.${registration.mode}`));
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    refuse(form, words(problem), orLater(problem, open));
  }
}

byId("to-sign-in").search = location.search;
await open();
