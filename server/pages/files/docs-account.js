/* Who calls from this page. Both tokens are in this module alone: no storage, no cookie, and gone with the page. */

import { announce } from "./announce.js";
import { opened } from "./dialog.js";
import { el } from "./dom.js";
import { submits } from "./form.js";
import { Problem } from "./problem.js";

// A token is renewed so long before it expires, or at nine tenths of a short life.
const AHEAD_MS = 20_000;

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
  account = { username, role, token, refresh_token, renewAt: Date.now() + Math.max(seconds * 1000 - AHEAD_MS, seconds * 900) };
  changed();
}

/** Cookies stay out of it: the session of the account pages in this browser is another one. */
async function post(path, body, keepalive = false) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
      cache: "no-store", credentials: "omit", redirect: "error", keepalive,
    });
  } catch {
    throw new Problem({ code: "network" });
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  throw new Problem({ status: response.status, retryAfter: Number(response.headers.get("Retry-After")) || 0, ...answer });
}

function field(label, name, type, autocomplete) {
  const error = `try-${name}-error`;
  return el("div", { class: "field" },
    el("label", { for: `try-${name}` }, label),
    el("input", { id: `try-${name}`, name, type, autocomplete, required: true, autocapitalize: "none", spellcheck: "false",
      "aria-describedby": error }),
    el("p", { class: "error", id: error, hidden: true }));
}

function claimsOf(token) {
  const bytes = atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"));
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes, (character) => character.charCodeAt(0))));
}

// Else a browser that keeps the page for going back would keep the tokens, and the server the session.
addEventListener("pagehide", () => {
  const before = account;
  account = null;
  if (before) post("/logout", { refresh_token: before.refresh_token }, true).catch(() => {});
  changed();
});
