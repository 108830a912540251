/* Where to go after a sign-in: `?return_to=` takes a path of this origin, or an address of an allowed one. */

import { send } from "./api.js";

const HOME = "/account";
const KEPT = "watchword-return-to";
const KEPT_MS = 86_400_000;
// Browsers drop some of these, and read a backslash as a slash, so two programs could see two addresses in one text.
const SUSPICIOUS = /[\\\p{C}\p{Z}]/u;

/** The address to go to. What is not allowed is ignored. */
export async function returnTarget(search = location.search) {
  const text = new URLSearchParams(search).get("return_to") ?? "";
  if (!text || text.length > 2000 || SUSPICIOUS.test(text)) return HOME;
  if (text.startsWith("/")) return pathOfThisOrigin(text) ?? HOME;
  return (await addressOfAllowedOrigin(text)) ?? HOME;
}

/** Keep where to go, for who comes back by the link of a mail: it does not say it. */
export function keepReturn() {
  const target = new URLSearchParams(location.search).get("return_to");
  store(target && JSON.stringify({ target, until: Date.now() + KEPT_MS }));
}

/** The query that leads on: that of this page, or the one that was kept. */
export function searchOn() {
  if (location.search) return location.search;
  try {
    const { target, until } = JSON.parse(localStorage.getItem(KEPT)) ?? {};
    return target && until > Date.now() ? `?${new URLSearchParams({ return_to: target })}` : "";
  } catch {
    return "";
  }
}

function store(text) {
  try {
    if (text) localStorage.setItem(KEPT, text);
    else localStorage.removeItem(KEPT);
  } catch {
    // A browser may refuse it. Then the link of a mail leads to the account.
  }
}

/** Go there. It never returns, so a form that waits for it can't be sent again until the page has gone. */
export async function leave(search = location.search) {
  const target = await returnTarget(search);
  store(null);
  location.replace(target);
  return new Promise(() => {});
}

function pathOfThisOrigin(text) {
  const url = parsed(text, location.origin);
  if (text.startsWith("//") || url?.origin !== location.origin) return null;
  return ["/", "/sign-in", "/sign-up"].includes(url.pathname) ? null : url.href;
}

async function addressOfAllowedOrigin(text) {
  const url = parsed(text);
  if (!url?.host || url.username || url.password) return null;
  // `url.origin` is "null" for schemes of apps.
  const origin = `${url.protocol}//${url.host}`;
  if (!text.startsWith(origin)) return null;
  if (origin === location.origin) return pathOfThisOrigin(url.pathname + url.search + url.hash);
  try {
    const answer = await send("GET", "/pages/settings", { query: { return_origin: origin } });
    return answer.return_origin === origin ? url.href : null;
  } catch {
    return null;
  }
}

function parsed(text, base) {
  try {
    return new URL(text, base);
  } catch {
    return null;
  }
}
