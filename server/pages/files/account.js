/* The page at /account: what it shows of the user, and what its first sections do. */

import { announce } from "./announce.js";
import { api } from "./api.js";
import { showEmails } from "./account-emails.js";
import { showSessions } from "./account-sessions.js";
import { byId, focusOn, foreign, hide, show } from "./dom.js";
import { done, mark, submits } from "./form.js";
import { setLanguage } from "./layout.js";
import { t } from "./messages.js";
import { tellRules } from "./password-field.js";
import { changed, onUser, start } from "./session.js";
import "./signed-in.js";

await start();

let shown = null;
onUser((user) => {
  byId("username").replaceChildren(foreign(user.username));
  byId("role").replaceChildren(foreign(user.role));
  byId("password-owner").value = user.username;
  const field = byId("name");
  // What is being typed stays.
  if (shown === null || (field.value === shown.name && document.activeElement !== field)) field.value = user.name;
  if (shown && user.email !== shown.email) emails();
  shown = user;
});

submits(byId("profile"), async ({ name }) => {
  changed((await api("PATCH", "/me", { body: { name: name.trim() } })).user);
  byId("name").value = shown.name;
  done(byId("profile"), t("account.saved"));
});

const password = byId("password-form");
tellRules(password.elements.namedItem("new_password"));
submits(password, async (body) => {
  try {
    // The password that is typed here is also that of a sign-in that has to be recent.
    await api("POST", "/me/password", { body, proof: body.current_password });
  } catch (problem) {
    if (problem.code !== "invalid_credentials") throw problem;
    const field = password.elements.namedItem("current_password");
    mark(password, "current_password", t("password.wrong"));
    field.focus();
    field.select();
    return;
  }
  password.reset();
  byId("password-change").open = false;
  const place = byId("password-done");
  show(place);
  focusOn(place);
  sessions();
});
byId("password-change").addEventListener("toggle", ({ target }) => {
  if (!target.open) return;
  hide(byId("password-done"));
  byId("current_password").focus();
});

byId("language")?.addEventListener("change", ({ target }) => setLanguage(target.value));

const emails = showEmails();
const sessions = showSessions();
hide(byId("waiting"));
show(byId("account"));
announce(t("account.title"));
