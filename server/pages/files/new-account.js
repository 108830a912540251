/* The form of a new account, for /sign-up and /invitation. */

import { byId, el, focusOn, show } from "./dom.js";
import { submits } from "./form.js";
import { t } from "./messages.js";
import { tellRules } from "./password-field.js";
import { returnTarget } from "./return-to.js";
import { signIn } from "./session.js";
import { Problem, send } from "./api.js";

/** Show the form. `more` are further members of what is sent. */
export function offerAccount(more = {}) {
  const form = byId("new-account");
  show(form);
  tellRules(form.elements.namedItem("password"));
  submits(form, async ({ name, username, email, password }) => {
    const body = { username: username.trim(), name: name.trim(), password, ...(email.trim() ? { email: email.trim() } : {}), ...more };
    const { user } = await send("POST", "/sign-up", { body });
    try {
      await signIn(user.username, password);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      return tellMade();
    }
    return location.replace(await returnTarget());
  });
}

/** The account is there, but the sign-in has to wait. */
function tellMade() {
  const heading = el("h1", {}, t("new_account.made"));
  byId("main").replaceChildren(heading, el("p", {}, t("new_account.made_text")),
    el("p", { class: "actions" }, el("a", { class: "button primary", href: "/sign-in" }, t("sign_in.title"))));
  focusOn(heading);
}

/** Say why there is no account to be had here. */
export function refuse(text) {
  const place = byId("refused");
  place.textContent = text;
  place.setAttribute("role", "alert");
  show(place);
}
