/* What was found, for people to read.
 *
 * What a token holds is hostile. It gets into this page as text and in no other way: the policy that the page comes with
 * forbids whatever would read text as markup (Trusted Types). It loads nothing, and asks this server alone. */

import { announce } from "./announce.js";
import { byId, el, visible } from "./dom.js";

/* ---- Words ---- */

const VERDICTS = {
  accepted: ["Accepted", "accepted"],
  token_expired: ["Expired", "late"],
  token_revoked: ["Revoked", "refused"],
  token_invalid: ["Not valid", "refused"],
};
const MEANINGS = new Map([
  ["iss", "issuer: who made the token"],
  ["sub", "subject: the id of the user"],
  ["aud", "audience: whom it is meant for"],
  ["iat", "issued at"],
  ["nbf", "not before: good from then on"],
  ["exp", "expires at: refused from then on"],
  ["jti", "id of this one token"],
  ["sid", "its session: a logout ends both"],
  ["role", "decides which routes are open"],
  ["username", "the name to log in with"],
  ["auth_time", "when the user has proved who they are, the last time"],
  ["amr", "by which methods; pwd is a password, otp a mailed code"],
  ["alg", "algorithm of the signature"],
  ["kid", "key id: which key has signed"],
  ["typ", "type: at+jwt is an access token"],
]);
const KEY_STATES = {
  next: "It is the next key, which does not sign yet.",
  active: "It is the key that signs now.",
  retired: "It is retired: it signs no more, but what it has signed is good until it expires.",
  revoked: "It was revoked: nothing that it has signed is believed.",
};
// The mean year of the calendar.
const UNITS = [["year", 31_556_952], ["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]];

/** Seconds in their two largest units; "" for none. */
export function span(seconds) {
  let left = Math.abs(seconds);
  const counts = UNITS.map(([name, size]) => {
    const count = Math.floor(left / size);
    left %= size;
    return [count, name];
  });
  const first = counts.findIndex(([count]) => count > 0);
  return (first < 0 ? [] : counts.slice(first, first + 2))
    .filter(([count]) => count > 0)
    .map(([count, name]) => `${count} ${name}${count === 1 ? "" : "s"}`)
    .join(" ");
}

function fromNow(seconds) {
  if (seconds === 0) return "now";
  return seconds > 0 ? `in ${span(seconds)}` : `${span(seconds)} ago`;
}

const localTime = new Intl.DateTimeFormat(undefined, { dateStyle: "long", timeStyle: "long" });
const clockTime = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

/* ---- Showing ---- */

/** Text in which `…` is code. */
function prose(text) {
  return text.split("`").flatMap((part, index) => (index % 2 ? el("code", {}, ...visible(part)) : visible(part)));
}

/** A reason of the server as a sentence. */
function sentence(reason) {
  return prose(`${reason[0].toUpperCase()}${reason.slice(1)}.`);
}

function value(of) {
  if (of === "") return [el("span", { class: "words" }, "(empty)")];
  if (typeof of === "string") return visible(of);
  return JSON.stringify(of, null, 2).split("\n").flatMap((line, index) => (index ? ["\n", ...visible(line)] : visible(line)));
}

function time(at, number) {
  const words = el("span", { class: "words" });
  running.push((now) => { words.textContent = fromNow(Math.round((Date.parse(at) - now) / 1000)); });
  const when = el("time", {}, localTime.format(Date.parse(at)));
  when.dateTime = at;
  return [when, " ", words, el("small", {}, `${at.replace(".000Z", "Z")} · ${JSON.stringify(number)}`)];
}

/** Fill a list with the members of header or claims; what could not be read is not there. */
function list(section, members, times, otherwise) {
  section.hidden = members === null;
  section.querySelector("dl").replaceChildren(...Object.entries(members ?? {}).map(([name, of]) => {
    const at = times.find((found) => found.claim === name)?.at;
    const term = el("dt", {}, ...visible(name), el("small", {}, MEANINGS.get(name) ?? otherwise));
    return el("div", {}, term, el("dd", {}, ...(at ? time(at, of) : value(of))));
  }));
}

function showSignature({ valid, kid, algorithm, key_state: state }) {
  const key = kid === null ? "" : el("code", {}, ...visible(kid));
  const more = state ? ` ${KEY_STATES[state]}` : "";
  let told = ["It was not checked, since the header names no key."];
  if (valid) told = [`It holds: it was made with ${algorithm} by the key `, key, `.${more}`];
  else if (valid === false) {
    told = ["It does not hold: it was not made by the key ", key, " over this header and these claims. Somebody has " +
      "changed the token, or made it up."];
  } else if (key) told = ["It was not checked. The header names the key ", key, `.${more}`];
  byId("signature").querySelector("p").replaceChildren(...told);
}

function showRoutes(routes) {
  const line = ({ method, path, summary }) =>
    el("li", {}, el("b", {}, method), el("code", {}, path), el("span", {}, summary));
  const open = routes.filter((route) => route.access === "anyone");
  byId("routes").hidden = routes.length === 0;
  byId("own-routes").replaceChildren(...routes.filter((route) => !open.includes(route)).map(line));
  byId("open-routes").replaceChildren(...open.map(line));
  byId("open-summary").textContent = `and ${open.length} that anyone may call`;
}

let askAgain = () => {};

/** Be told that the token which was shown has expired. */
export function onExpiry(ask) {
  askAgain = ask;
}

/** Until the next answer: what changes with time. Called each second with the server's time in milliseconds. */
let running = [];
let ticking = 0;

function run(offset) {
  clearTimeout(ticking);
  const now = Date.now() + offset;
  for (const update of running) update(now);
  if (running.length) ticking = setTimeout(run, 1000 - (now % 1000) + 1, offset);
}

function showLife(answer) {
  const at = (claim) => Date.parse(answer.times.find((found) => found.claim === claim)?.at);
  const expires = at("exp");
  const accepted = answer.verdict === "accepted";
  const told = (accepted || answer.verdict === "token_expired") && !Number.isNaN(expires);
  byId("life").hidden = !(accepted && told);
  byId("countdown").hidden = !told;
  if (told) {
    running.push((now) => {
      const left = Math.round((expires - now) / 1000);
      const part = (expires - now) / (expires - at("iat"));
      byId("countdown").textContent = left > 0 ? `Good for ${span(left)} more.` : `It expired ${fromNow(left)}.`;
      byId("life").firstElementChild.style.width = `${100 * Math.max(0, Math.min(1, part))}%`;
      // What then holds is for the server to say.
      if (accepted && now >= expires) askAgain();
    });
  }
}

export function show(answer, offset) {
  running = [];
  const [word, kind] = VERDICTS[answer.verdict];
  const reasons = answer.reasons.map(sentence);
  if (kind === "accepted") reasons.push([el("code", {}, ...visible(answer.claims.username)), " may use it, in the role ",
    el("code", {}, ...visible(answer.claims.role)), "."]);
  showLife(answer);
  list(byId("claims"), answer.claims, answer.times, "not a claim of this server: passed over");
  list(byId("header"), answer.header, [], "not taken here");
  byId("unproven").hidden = answer.signature.valid === true;
  byId("signature").hidden = answer.header === null;
  showSignature(answer.signature);
  showRoutes(answer.routes);
  const skew = Math.round(offset / 1000);
  const clock = Math.abs(skew) < 5 ? "" : ` Your clock is ${span(skew)} ${skew < 0 ? "ahead of" : "behind"} the server's, which counts.`;
  verdict(word, kind, reasons, `Checked at ${clockTime.format(Date.now() + offset)}.${clock}`);
  run(offset);
}

/** Something about what was pasted that is not the server's verdict. */
export function tell(word, text) {
  running = [];
  for (const id of ["countdown", "life", "claims", "header", "signature", "routes"]) byId(id).hidden = true;
  verdict(word, "unknown", [prose(text)], "");
}

function verdict(word, kind, reasons, checked) {
  byId("empty").hidden = true;
  byId("result").hidden = false;
  byId("result").removeAttribute("aria-busy");
  byId("verdict").className = kind;
  byId("word").textContent = word;
  // What has expired says so in the line that runs.
  const lines = reasons.map((reason) => el("li", {}, ...reason));
  byId("reasons").replaceChildren(...(kind === "late" ? [] : lines));
  byId("checked").textContent = checked;
  announce([`${word}.`, ...lines.map((line) => line.textContent)].join(" "));
}

export function showEmpty() {
  running = [];
  byId("result").removeAttribute("aria-busy");
  byId("result").hidden = true;
  byId("empty").hidden = false;
  announce("");
}
