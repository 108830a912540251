/* Requests to this server. The access token is only in the memory of the page, and gone with it; the refresh token is in
 * a cookie that no script can read. */

import { askPassword } from "./dialog.js";
import { Problem } from "./problem.js";

export { Problem };

const PATIENCE_MS = 20_000;
// A token is renewed so long before it expires, or at nine tenths of a short life.
const AHEAD_MS = 20_000;

let token = null;
let renewAt = 0;
// The claims of the user whose page this is.
let who = null;
let renewing = null;
let asking = null;
let ended = null;
let tellEnd = () => {};

/** A request without a token: JSON, or null for an answer without a body (202 or 204). Throws Problem. */
export async function send(
  method, path, { query = {}, body, bearer, keepalive = false, credentials = "same-origin" } = {},
) {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (bearer) headers.Authorization = `Bearer ${bearer}`;
  let response;
  try {
    response = await fetch(url, {
      method, headers, keepalive, body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store", credentials, redirect: "error", signal: AbortSignal.timeout(PATIENCE_MS),
    });
    const text = response.status === 204 ? "" : await response.text();
    const answer = parsed(text);
    // A connection that broke off, or a network that answers in the place of the server.
    const empty = [202, 204].includes(response.status) && text === "";
    if (response.ok && answer === null && !empty) throw new Problem({ code: "network" });
    if (response.ok) return answer;
    throw problemOf(response, answer ?? {});
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem({ code: "network" });
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function problemOf(response, { code, detail, errors, reason, request_id: request }) {
  const retryAfter = Number(response.headers.get("Retry-After")) || 0;
  // A proxy before the server answers without a code.
  const known = code ?? ([502, 503, 504].includes(response.status) ? "network" : "");
  return new Problem({ status: response.status, code: known, detail, errors, reason, request, retryAfter });
}

/** A request of who is signed in. It renews the token, and asks for the password where that is wanted; `proof` is the
 * password if it is known. Throws Problem. */
export async function api(method, path, { proof = null, ...options } = {}) {
  if (ended) throw ended;
  if (token === null || Date.now() >= renewAt) await renew();
  const tried = new Set();
  for (;;) {
    const used = token;
    try {
      return await send(method, path, { ...options, bearer: used });
    } catch (problem) {
      const remedy = problem.code === "reauthentication_required" ? reauthenticate : renew;
      if (problem.status !== 401 || tried.has(remedy)) throw problem;
      tried.add(remedy);
      // What was refused was not done, so it may be sent again. Another call may have renewed the token meanwhile.
      if (remedy === reauthenticate || token === used) await remedy(proof);
    }
  }
}

/** Take what a login has answered. */
export function take({ token: given, expires_in: seconds }) {
  const claims = claimsOf(given);
  if (who && who.sub !== claims.sub) {
    return end(new Problem({ status: 401, code: "other_user", values: { username: claims.username, before: who.username } }));
  }
  who = claims;
  token = given;
  renewAt = timeToRenew(seconds);
  return claims;
}

/** When a token of that life has to be renewed, in epoch milliseconds. */
export function timeToRenew(seconds) {
  return Date.now() + Math.max(seconds * 1000 - AHEAD_MS, seconds * 900);
}

/** Be told once of the problem by which the session ended; null: forget it. */
export function onEnd(tell) {
  tellEnd = tell;
}

/** Whose page this is: the claims of the token, or null. */
export function signedInAs() {
  return who;
}

/** The access token, or null: for a request that goes without `api`. */
export function heldToken() {
  return token;
}

/** From now on no request is sent for this user. Throws the problem. */
export function end(problem) {
  if (!ended) {
    ended = problem;
    token = null;
    tellEnd(problem);
  }
  throw ended;
}

/** Wait for a request under way that may set the cookie. */
export async function settled() {
  await renewing?.catch(() => {});
}

/** New tokens for the cookie. All who ask while one request is under way get the result of that one. */
function renew() {
  renewing ??= renewed().finally(() => { renewing = null; });
  return renewing;
}

async function renewed() {
  let answer;
  try {
    // `keepalive`: the browser takes the new cookie even if the page is left before the answer is here.
    answer = await send("POST", "/refresh", { keepalive: true });
  } catch (problem) {
    if (problem.status === 401) end(problem);
    throw problem;
  }
  take(answer);
}

async function prove(password) {
  take(await send("POST", "/reauthenticate", { body: { password }, bearer: token }));
}

function reauthenticate(proof) {
  if (proof !== null) return prove(proof);
  asking ??= askPassword(who.username, prove).then((proved) => {
    if (!proved) throw new Problem({ code: "cancelled" });
  }).finally(() => { asking = null; });
  return asking;
}

/** What the token says of its user; the server alone checks it. */
export function claimsOf(text) {
  const bytes = atob(text.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"));
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes, (character) => character.charCodeAt(0))));
}
