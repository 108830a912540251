/* Questions that have to be answered before something goes on. */

import { el } from "./dom.js";
import { submits } from "./form.js";
import { t } from "./messages.js";

/** Ask whether to do it: true or false. `text` may be a list of elements and texts. */
export function confirm({ title, text, action, danger = false }) {
  return new Promise((answer) => {
    const dialog = opened(title, [
      el("p", {}, text),
      el("form", { method: "dialog", class: "actions" },
        el("button", { value: "no" }, t("dialog.cancel")),
        el("button", { value: "yes", class: danger ? "danger" : "primary" }, action)),
    ]);
    dialog.addEventListener("close", () => answer(dialog.returnValue === "yes"));
  });
}

/** Ask for the password of `username`, until `check(password)` throws no Problem. True if it did not; false if given up. */
export function askPassword(username, check) {
  return new Promise((answer) => {
    let proved = false;
    const form = el("form", { method: "post", novalidate: true },
      // A password manager wants to know whose password it is.
      el("input", { type: "text", name: "username", autocomplete: "username", value: username, readonly: true, hidden: true }),
      el("div", { class: "field" },
        el("label", { for: "confirm-password" }, t("sign_in.password")),
        el("input", { id: "confirm-password", name: "password", type: "password", autocomplete: "current-password",
          required: true, "aria-describedby": "confirm-password-error" }),
        el("p", { class: "error", id: "confirm-password-error", hidden: true })),
      el("p", { class: "error form-error", role: "alert", hidden: true }),
      el("div", { class: "actions" },
        el("button", { type: "button", onclick: () => dialog.close() }, t("dialog.cancel")),
        el("button", { type: "submit", class: "primary" }, t("dialog.password.action"))));
    const dialog = opened(t("dialog.password.title"), [el("p", {}, t("dialog.password.text")), form]);
    submits(form, async ({ password }) => {
      await check(password);
      proved = true;
      dialog.close();
    });
    form.elements.namedItem("password").focus();
    dialog.addEventListener("close", () => answer(proved));
  });
}

/** Show a dialog with this content. It goes away when it is closed. */
export function opened(title, content) {
  const heading = el("h2", { id: "dialog-title" }, title);
  const dialog = el("dialog", { "aria-labelledby": "dialog-title" }, heading, content);
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
  return dialog;
}
