/* The page at /reset-password#token. */

import { byId, el, focusOn } from "./dom.js";
import { submits } from "./form.js";
import { tokenOfAddress } from "./fragment.js";
import { t } from "./messages.js";
import { tellRules } from "./password-field.js";
import { send } from "./api.js";

const token = tokenOfAddress();
const form = byId("reset-password");
const field = form.elements.namedItem("new_password");

function showInstead(title, text, ...rest) {
  const heading = el("h1", {}, title);
  byId("main").replaceChildren(heading, el("p", {}, text), ...rest);
  document.title = title;
  focusOn(heading);
}

if (token) {
  submits(form, async ({ new_password: password }) => {
    try {
      await send("POST", "/password/reset", { body: { reset_token: token, new_password: password } });
    } catch (problem) {
      if (problem.code !== "reset_invalid") throw problem;
      showInstead(t("reset.invalid"), t("reset.invalid_text"));
      return;
    }
    showInstead(t("reset.done"), t("reset.done_text"),
      el("p", { class: "actions" }, el("a", { class: "button primary", href: "/sign-in" }, t("sign_in.title"))));
  });
  field.focus();
  await tellRules(field);
} else {
  showInstead(t("reset.missing"), t("reset.missing_text"));
}
