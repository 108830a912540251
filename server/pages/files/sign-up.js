/* The page at /sign-up. */

import { byId } from "./dom.js";
import { pageSettings } from "./layout.js";
import { t } from "./messages.js";
import { offerAccount, refuse } from "./new-account.js";
import { Problem, words } from "./problem.js";

byId("sign-in").search = location.search;
try {
  const { registration } = await pageSettings();
  if (registration.mode === "open") offerAccount();
  else refuse(t(`sign_up.${registration.mode}`));
} catch (problem) {
  if (!(problem instanceof Problem)) throw problem;
  refuse(words(problem));
}
