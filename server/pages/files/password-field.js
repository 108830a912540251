/* Fields for passwords: they can be shown, and the rules are told while one is typed. The server decides. */

import { announce } from "./announce.js";
import { byId } from "./dom.js";
import { count, t } from "./messages.js";
import { pageSettings } from "./layout.js";
import { Problem } from "./problem.js";

/** Let the buttons there show what is typed into the field of each. */
export function reveals(within) {
  for (const button of within.querySelectorAll("button.reveal")) {
    const field = byId(button.getAttribute("aria-controls"));
    const reveal = (shown) => {
      field.type = shown ? "text" : "password";
      button.setAttribute("aria-label", t(shown ? "form.conceal_password" : "form.reveal_password"));
      button.textContent = t(shown ? "form.conceal" : "form.reveal");
    };
    button.addEventListener("click", () => reveal(field.type === "password"));
    // A browser must not keep it among the texts that it offers again.
    field.form.addEventListener("submit", () => reveal(false));
  }
}

reveals(document);

/** Tell below the field how many characters are missing. */
export async function tellRules(field) {
  const hint = byId(`${field.id}-hint`);
  let password;
  try {
    ({ password } = await pageSettings());
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    // The server says what is missing when the form is sent.
    return;
  }
  let enough = false;
  const tell = () => {
    const length = [...field.value.normalize("NFC")].length;
    const missing = password.min_length - length;
    if (length === 0) hint.textContent = t("password.least", { count: password.min_length });
    else if (missing > 0) hint.textContent = count("password.missing", missing);
    else hint.textContent = t("password.enough");
    hint.classList.toggle("good", length > 0 && missing <= 0);
    if (enough !== missing <= 0) {
      enough = missing <= 0;
      if (enough) announce(hint.textContent);
    }
  };
  field.addEventListener("input", tell);
  field.form.addEventListener("reset", () => setTimeout(tell));
  tell();
}
