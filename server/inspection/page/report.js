"use strict";
/* What was found, for people to read.
 *
 * What a token holds is hostile. It gets into this page as text and in no other way: the policy that the page comes with
 * forbids whatever would read text as markup (Trusted Types). It loads nothing, and asks this server alone. */

const $ = (id) => document.getElementById(id);

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
  ["amr", "by which methods; pwd is a password"],
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
function span(seconds) {
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

/** An element with content, which is elements and text. */
function make(name, className, ...content) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...content);
  return element;
}

/** Text as it is; but what can't be seen, or turns the line around, as its code point. */
function visible(text) {
  return text.split(/([\p{C}\p{Zl}\p{Zp}])/u).filter(Boolean).map((part) => {
    if (!/^[\p{C}\p{Zl}\p{Zp}]$/u.test(part)) return part;
    return make("span", "odd", `U+${part.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`);
  });
}

/** Text in which `…` is code. */
function prose(text) {
  return text.split("`").flatMap((part, index) => (index % 2 ? make("code", "", ...visible(part)) : visible(part)));
}

/** A reason of the server as a sentence. */
function sentence(reason) {
  return prose(`${reason[0].toUpperCase()}${reason.slice(1)}.`);
}

function value(of) {
  if (of === "") return [make("span", "words", "(empty)")];
  if (typeof of === "string") return visible(of);
  return JSON.stringify(of, null, 2).split("\n").flatMap((line, index) => (index ? ["\n", ...visible(line)] : visible(line)));
}

function time(at, number) {
  const words = make("span", "words");
  running.push((now) => { words.textContent = fromNow(Math.round((Date.parse(at) - now) / 1000)); });
  const when = make("time", "", localTime.format(Date.parse(at)));
  when.dateTime = at;
  return [when, " ", words, make("small", "", `${at.replace(".000Z", "Z")} · ${JSON.stringify(number)}`)];
}

/** Fill a list with the members of header or claims; what could not be read is not there. */
function list(section, members, times, otherwise) {
  section.hidden = members === null;
  section.querySelector("dl").replaceChildren(...Object.entries(members ?? {}).map(([name, of]) => {
    const at = times.find((found) => found.claim === name)?.at;
    const term = make("dt", "", ...visible(name), make("small", "", MEANINGS.get(name) ?? otherwise));
    return make("div", "", term, make("dd", "", ...(at ? time(at, of) : value(of))));
  }));
}

function showSignature({ valid, kid, algorithm, key_state: state }) {
  const key = kid === null ? "" : make("code", "", ...visible(kid));
  const more = state ? ` ${KEY_STATES[state]}` : "";
  let told = ["It was not checked, since the header names no key."];
  if (valid) told = [`It holds: it was made with ${algorithm} by the key `, key, `.${more}`];
  else if (valid === false) {
    told = ["It does not hold: it was not made by the key ", key, " over this header and these claims. Somebody has " +
      "changed the token, or made it up."];
  } else if (key) told = ["It was not checked. The header names the key ", key, `.${more}`];
  $("signature").querySelector("p").replaceChildren(...told);
}

function showRoutes(routes) {
  const line = ({ method, path, summary }) =>
    make("li", "", make("b", "", method), make("code", "", path), make("span", "", summary));
  const open = routes.filter((route) => route.access === "anyone");
  $("routes").hidden = routes.length === 0;
  $("own-routes").replaceChildren(...routes.filter((route) => !open.includes(route)).map(line));
  $("open-routes").replaceChildren(...open.map(line));
  $("open-summary").textContent = `and ${open.length} that anyone may call`;
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
  $("life").hidden = !(accepted && told);
  $("countdown").hidden = !told;
  if (told) {
    running.push((now) => {
      const left = Math.round((expires - now) / 1000);
      const part = (expires - now) / (expires - at("iat"));
      $("countdown").textContent = left > 0 ? `Good for ${span(left)} more.` : `It expired ${fromNow(left)}.`;
      $("life").firstElementChild.style.width = `${100 * Math.max(0, Math.min(1, part))}%`;
      // What then holds is for the server to say.
      if (accepted && now >= expires && !asking && current) ask(current);
    });
  }
}

function show(answer, offset) {
  running = [];
  const [word, kind] = VERDICTS[answer.verdict];
  const reasons = answer.reasons.map(sentence);
  if (kind === "accepted") reasons.push([make("code", "", ...visible(answer.claims.username)), " may use it, in the role ",
    make("code", "", ...visible(answer.claims.role)), "."]);
  showLife(answer);
  list($("claims"), answer.claims, answer.times, "not a claim of this server: passed over");
  list($("header"), answer.header, [], "not taken here");
  $("unproven").hidden = answer.signature.valid === true;
  $("signature").hidden = answer.header === null;
  showSignature(answer.signature);
  showRoutes(answer.routes);
  const skew = Math.round(offset / 1000);
  const clock = Math.abs(skew) < 5 ? "" : ` Your clock is ${span(skew)} ${skew < 0 ? "ahead of" : "behind"} the server's, which counts.`;
  verdict(word, kind, reasons, `Checked at ${clockTime.format(Date.now() + offset)}.${clock}`);
  run(offset);
}

/** Something about what was pasted that is not the server's verdict. */
function tell(word, text) {
  running = [];
  for (const id of ["countdown", "life", "claims", "header", "signature", "routes"]) $(id).hidden = true;
  verdict(word, "unknown", [prose(text)], "");
}

function verdict(word, kind, reasons, checked) {
  $("empty").hidden = true;
  $("result").hidden = false;
  $("result").classList.remove("waiting");
  $("verdict").className = kind;
  $("word").textContent = word;
  // What has expired says so in the line that runs.
  const lines = reasons.map((reason) => make("li", "", ...reason));
  $("reasons").replaceChildren(...(kind === "late" ? [] : lines));
  $("checked").textContent = checked;
  announce([`${word}.`, ...lines.map((line) => line.textContent)].join(" "));
}

/** Told anew even if it is the same as before. */
function announce(text) {
  $("announcement").textContent = "";
  setTimeout(() => { $("announcement").textContent = text; }, 50);
}

function showEmpty() {
  running = [];
  $("result").hidden = true;
  $("empty").hidden = false;
  announce("");
}
