/* The form of a new account, for /sign-up and /invitation. */

import { awaitConfirmation } from "./confirm-account.js";
import { byId, el, show } from "./dom.js";
import { submits } from "./form.js";
import { t } from "./messages.js";
import { tellRules } from "./password-field.js";
import { leave } from "./return-to.js";
import { signIn } from "./session.js";
import { finish, wayOn } from "./states.js";
import { Problem, send } from "./api.js";

/** Show the form. `more` are further members of what is sent. `confirms`: an address that is given has to be confirmed first. */
export function offerAccount(form, more = {}, { confirms = false } = {}) {
  show(form);
  tellRules(form.elements.namedItem("password"));
  submits(form, async ({ name, username, email, password }) => {
    const address = email.trim();
    const body = { username: username.trim(), name: name.trim(), password, ...(address ? { email: address } : {}), ...more };
    const { user } = await send("POST", "/sign-up", { body });
    const account = { username: user.username, password, email: address };
    // A mail is on its way already: a sign-in would send another one.
    if (confirms && address) return awaitConfirmation(account);
    try {
      await signIn(user.username, password);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      return problem.code === "email_not_confirmed" ? awaitConfirmation(account) : tellMade();
    }
    return leave();
  });
}

/** The account is there, but the sign-in has to wait. */
function tellMade() {
  finish(t("new_account.made"), t("new_account.made_text"), wayOn(`/sign-in${location.search}`, t("sign_in.title")));
}

/** Say why there is no account to be had here. If it may be had later, `again` is called by a button. */
export function refuse(form, text, again = null) {
  const place = byId("refused");
  place.replaceChildren(text);
  place.setAttribute("role", "alert");
  show(place);
  if (again) place.append(" ", el("button", { type: "button", class: "link", onclick: again }, t("form.again")));
  else form.remove();
}

/** What to call again after this problem; null if the server has decided. */
export function orLater(problem, again) {
  const later = problem.status === 0 || problem.status === 429 || problem.status >= 500;
  return later ? again : null;
}
