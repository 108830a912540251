/* Who calls from this page. Both tokens are in this module alone: no storage, no cookie, and gone with the page. */

import { announce } from "./announce.js";
import { claimsOf, send, timeToRenew } from "./api.js";
import { opened } from "./dialog.js";
import { el } from "./dom.js";
import { submits } from "./form.js";

let account = null;
let renewing = null;
let changed = () => {};

/** `{username, role}`, or null. */
export function signedIn() {
  return account && { username: account.username, role: account.role };
}

export function onAccountChange(tell) {
  changed = tell;
}

/** A token that is good for a while; null if nobody is signed in. Throws Problem if the session is over. */
export async function accessToken() {
  if (account && Date.now() >= account.renewAt) {
    renewing ??= renew().finally(() => { renewing = null; });
    await renewing;
  }
  return account?.token ?? null;
}

/** Ask for username and password, until they are right. True if they were; false if that was given up. */
export function signIn() {
  return new Promise((answer) => {
    let done = false;
    const form = el("form", { method: "post", novalidate: true },
      field("Username or email address", "username", "text", "username"),
      field("Password", "password", "password", "current-password"),
      el("p", { class: "error form-error", role: "alert", hidden: true }),
      el("div", { class: "actions" },
        el("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
        el("button", { type: "submit", class: "primary" }, "Sign in")));
    const dialog = opened("Sign in", [form]);
    submits(form, async ({ username, password }) => {
      const answered = await post("/login", { username: username.trim(), password });
      await end();
      take(answered);
      done = true;
      dialog.close();
      announce(`Signed in as ${account.username}.`);
    });
    const known = form.elements.namedItem("username");
    known.value = account?.username ?? "";
    (known.value ? form.elements.namedItem("password") : known).focus();
    dialog.addEventListener("close", () => answer(done));
  });
}

/** End the session, here and in the server. */
export async function signOut() {
  await end();
  announce("Signed out.");
}

async function end() {
  const before = account;
  account = null;
  changed();
  // The page forgets the tokens whatever the server says.
  if (before) await post("/logout", { refresh_token: before.refresh_token }).catch(() => {});
}

async function renew() {
  try {
    take(await post("/refresh", { refresh_token: account.refresh_token }));
  } catch (problem) {
    if (problem.status === 401) {
      account = null;
      changed();
    }
    throw problem;
  }
}

function take({ token, expires_in: seconds, refresh_token }) {
  const { username, role } = claimsOf(token);
  account = { username, role, token, refresh_token, renewAt: timeToRenew(seconds) };
  changed();
}

/** Cookies stay out of it: the session of the account pages in this browser is another one. */
function post(path, body, keepalive = false) {
  return send("POST", path, { body, keepalive, credentials: "omit" });
}

function field(label, name, type, autocomplete) {
  const error = `try-${name}-error`;
  return el("div", { class: "field" },
    el("label", { for: `try-${name}` }, label),
    el("input", { id: `try-${name}`, name, type, autocomplete, required: true, autocapitalize: "none", spellcheck: "false",
      "aria-describedby": error }),
    el("p", { class: "error", id: error, hidden: true }));
}

// Else a browser that keeps the page for going back would keep the tokens, and the server the session.
addEventListener("pagehide", () => {
  const before = account;
  account = null;
  if (before) post("/logout", { refresh_token: before.refresh_token }, true).catch(() => {});
  changed();
});
