/* Who is signed in here, in all tabs of this browser, and how a page learns that this is over. */

import { announce, notice } from "./announce.js";
import { api, end, heldToken, onEnd, Problem, send, settled, signedInAs, take } from "./api.js";
import { byId, el, focusOn, foreign } from "./dom.js";
import { around, t } from "./messages.js";

const WATCH_MS = 4000;
const LONGEST_RETRY_MS = 10_000;
// Says that there is a session in this browser, for pages that need not ask otherwise. It holds nothing secret.
const MARK = "watchword-session";
const FRESH_MS = 15_000;
// Where the browser refuses to say, there may be one, and it was not just opened.
const UNKNOWN = 1;

const tabs = new BroadcastChannel("watchword");
const listeners = [];
let user = null;
let timer = 0;
let failures = 0;

/** Sign in: throws Problem, or the cookie is set. */
export function signIn(username, password) {
  return signInBy("/login", { username, password });
}

/** The same by another proof, which that path takes. */
export async function signInBy(path, proof) {
  const claims = take(await send("POST", path, { body: { ...proof, cookie: true } }));
  remember(Date.now());
  tabs.postMessage({ kind: "signed-in", subject: claims.sub, username: claims.username });
}

/** Whether this browser may have a session: when it was opened here, in epoch milliseconds; 0 if there is none. */
export function mark() {
  try {
    return Number(localStorage.getItem(MARK)) || 0;
  } catch {
    return UNKNOWN;
  }
}

function remember(at) {
  try {
    if (at) localStorage.setItem(MARK, String(at));
    else localStorage.removeItem(MARK);
  } catch {
    // A browser may refuse it. Then pages ask the server.
  }
}

/** Whether a session goes on here. If one was just opened and has gone, the browser has not kept its cookie. */
export async function goesOn() {
  const opened = mark();
  if (!opened) return false;
  try {
    take(await send("POST", "/refresh", { keepalive: true }));
    return true;
  } catch (problem) {
    if (problem.status === 401) {
      remember(0);
      if (Date.now() - opened < FRESH_MS) notice("cookie", t("layout.no_cookie"));
    }
    return false;
  }
}

/** Be told when somebody signs in in another tab. */
export function onSignIn(told) {
  tabs.addEventListener("message", ({ data }) => {
    if (data.kind === "signed-in") told();
  });
}

/** Be told when an address is confirmed in another tab, as by the link of a mail. */
export function onConfirmed(told) {
  tabs.addEventListener("message", ({ data }) => {
    if (data.kind === "confirmed") told();
  });
}

export function tellConfirmed() {
  tabs.postMessage({ kind: "confirmed" });
}

/** Be told of the user now and after each change. */
export function onUser(listener) {
  listeners.push(listener);
  if (user) listener(user);
}

/** The user, or null before `start`. */
export function currentUser() {
  return user;
}

/** Take a user that an answer has, so the page shows it at once. */
export function changed(given) {
  if (JSON.stringify(given) === JSON.stringify(user)) return;
  user = given;
  for (const listener of listeners) listener(user);
}

/** The user of this page. Without a session it leads to the sign-in page, and never returns. */
export async function start() {
  onEnd((problem) => {
    if (user) showEnd(problem);
    else leadToSignIn();
  });
  tabs.addEventListener("message", ({ data }) => heard(data));
  for (const event of ["visibilitychange", "focus", "online"]) window.addEventListener(event, soon);
  await watch();
  return new Promise((found) => {
    const once = () => found(user);
    if (user) once();
    else listeners.push(once);
  });
}

/** End the session, here and in all tabs, and show the sign-in page. Throws Problem if it could not be ended. */
export async function signOut() {
  // Else an answer to /refresh that comes after the one to /logout would bring a cookie back.
  await settled();
  try {
    // The token also ends a session whose cookie is gone.
    await send("POST", "/logout", { bearer: heldToken() });
  } catch (problem) {
    if (problem.status !== 401 && problem.code !== "session_conflict") throw problem;
  }
  clearTimeout(timer);
  remember(0);
  tabs.postMessage({ kind: "signed-out" });
  location.replace("/sign-in");
}

function signInPath() {
  // The fragment of the console says what is shown. Other pages may have secrets there.
  const here = location.pathname + location.search + (location.pathname === "/console" ? location.hash : "");
  return here === "/account" ? "/sign-in" : `/sign-in?return_to=${encodeURIComponent(here)}`;
}

function leadToSignIn() {
  clearTimeout(timer);
  location.replace(signInPath());
}

function heard({ kind, subject, username }) {
  const me = signedInAs();
  if (!me) return;
  try {
    if (kind === "signed-out") end(new Problem({ status: 401, code: "signed_out" }));
    if (kind === "signed-in" && subject !== me.sub) {
      end(new Problem({ status: 401, code: "other_user", values: { username, before: me.username } }));
    }
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
  }
}

/** Look whether the session goes on, again and again while the page is seen. */
async function watch() {
  clearTimeout(timer);
  try {
    const answer = await api("GET", "/me");
    if (failures) {
      notice("connection");
      announce(t("layout.online"));
    }
    failures = 0;
    changed(answer.user);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status === 401) return;
    failures += 1;
    // One failure may be a restart, or a network that has just changed.
    if (failures === 2 || !user) notice("connection", t(problem.code === "network" ? "layout.offline" : "layout.busy"));
  }
  const pause = failures ? Math.min(500 * 2 ** failures, LONGEST_RETRY_MS) : WATCH_MS;
  timer = setTimeout(() => (document.hidden ? undefined : watch()), pause);
}

function soon() {
  if (document.hidden || !timer) return;
  clearTimeout(timer);
  timer = setTimeout(watch, 0);
}

const ENDINGS = {
  refresh_expired: "expired",
  refresh_reused: "reused",
  signed_out: "signed_out",
  other_user: "other_user",
};

function showEnd(problem) {
  clearTimeout(timer);
  timer = 0;
  if (problem.code !== "other_user") remember(0);
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  for (const part of document.querySelectorAll(".top nav")) part.remove();
  notice("connection");
  const kind = problem.reason === "user_disabled" ? "disabled" : (ENDINGS[problem.code] ?? "ended");
  const heading = el("h1", {}, t(`over.${kind}.title`));
  const { username, before } = problem.values;
  const text = around(`over.${kind}.text`, { username: foreign(username), before: foreign(before) });
  const way = kind === "other_user"
    ? el("button", { type: "button", class: "primary", onclick: () => location.reload() },
      around("over.other_user.go_on", { username: foreign(username, { most: 30, more: null }) }))
    : el("a", { class: "button primary", href: signInPath() }, t("over.sign_in"));
  const main = byId("main");
  main.dataset.over = kind;
  main.replaceChildren(heading, el("p", {}, text), el("p", { class: "actions" }, way));
  document.title = heading.textContent;
  focusOn(heading);
}
