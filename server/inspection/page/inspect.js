"use strict";
/* The field, and the questions to the server about what is in it. */

const field = $("token");
const TYPING_MS = 250;
const PATIENCE_MS = 20_000;

/* ---- Asking the server ---- */

let current = "";
let asking = null;
let typing = 0;

/** Look at what is in the field. `whole`: pasted in one go, so the token takes the place of what it was in. */
function look({ whole = false, again = false } = {}) {
  clearTimeout(typing);
  const { token = "", note = "", other = "" } = readPasted(field.value);
  if (whole && token && token !== field.value) {
    field.value = token;
    field.scrollTop = 0;
    paint();
  }
  if (whole || token !== current) $("note").textContent = note;
  $("clear").disabled = field.value === "";
  $("again").disabled = token === "";
  if (token && token === current && !again && !whole) return;
  asking?.abort();
  asking = null;
  current = token;
  if (token) ask(token);
  else if (other) tell("Not looked at", other);
  else showEmpty();
}

/** The latest question wins: an answer to an earlier one is not shown, however late it comes. */
async function ask(token) {
  const mine = new AbortController();
  asking = mine;
  const patience = setTimeout(() => mine.abort(), PATIENCE_MS);
  $("result").classList.add("waiting");
  const asked_at = Date.now();
  let response = null;
  let text = "";
  try {
    response = await fetch("/inspect", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token }),
      signal: mine.signal,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
    text = await response.text();
  } catch {
    response = null;
  } finally {
    clearTimeout(patience);
  }
  if (mine !== asking) return;
  asking = null;
  const answer = response?.ok ? exactly(text) : null;
  if (answer) show(answer, Date.parse(answer.now) - (asked_at + Date.now()) / 2);
  else tell(...failure(response, text));
}

/** JSON with its numbers as they are written, where the browser can; else those beyond 53 bits are rounded. */
function exactly(text) {
  const asWritten = (_, value, context) =>
    typeof value === "number" && context?.source && JSON.rawJSON ? JSON.rawJSON(context.source) : value;
  try {
    return JSON.parse(text, asWritten);
  } catch {
    return null;
  }
}

/** A title and a sentence for an answer that is none. */
function failure(response, text) {
  if (!response) return ["No answer", "This server does not answer. Is it running, and is the network there?"];
  const seconds = Number(response.headers.get("Retry-After"));
  const later = seconds ? `Try again in ${span(seconds)}.` : "Try again in a moment.";
  const closed = ["Not open here", "The settings of this server do not let everybody look into tokens on this page."];
  const known = {
    400: ["Not looked at", "What was pasted holds something that is no text."],
    401: closed,
    403: closed,
    408: ["No answer", "What was sent did not reach the server in time. Try again."],
    413: ["Not looked at", "This is more than the server reads at once, so it can't be a token."],
    422: ["Not looked at", "The server does not take this for a token: it is too long."],
    429: ["Too many questions", `The server was asked a lot just now. ${later}`],
    503: ["Busy", `The server has too much to do, or its database does not answer. ${later}`],
  }[response.status];
  const id = objectOf(text)?.request_id ?? "";
  const log = id ? ` Its log knows more, under ${id}.` : "";
  return known ?? ["No answer", `The server could not answer (status ${response.status}).${log}`];
}

/* ---- The field ---- */

/** The layer above the field: the same text, its three parts in colours. */
function paint() {
  const parts = field.value.split(".");
  const names = ["header", "payload", "signature"];
  const nodes = parts.length === 3
    ? parts.flatMap((part, index) => [index ? "." : "", make("i", names[index], part)])
    : [field.value];
  // A last line that is empty has a height in the field alone.
  $("colours").replaceChildren(...nodes, field.value.endsWith("\n") ? " " : "");
  follow();
}

function follow() {
  $("colours").scrollTop = field.scrollTop;
}

function clear() {
  field.value = "";
  paint();
  look();
  $("note").textContent = "";
}

field.addEventListener("scroll", follow);
field.addEventListener("input", (event) => {
  paint();
  clearTimeout(typing);
  if (/^insertFrom(Paste|Drop)/.test(event.inputType)) look({ whole: true });
  else typing = setTimeout(look, TYPING_MS);
});
// Anywhere on the page.
document.addEventListener("paste", (event) => {
  const text = event.clipboardData?.getData("text/plain");
  if (!text || event.target === field) return;
  event.preventDefault();
  field.value = text;
  paint();
  look({ whole: true });
});
$("again").addEventListener("click", () => look({ again: true }));
$("clear").addEventListener("click", () => {
  clear();
  field.focus();
});
// Else a browser that keeps the page for going back would keep the token.
window.addEventListener("pagehide", clear);

$("host").textContent = location.host;
$("login").textContent = `curl -s -X POST -H 'Content-Type: application/json' \\
  -d '{"username": "admin", "password": "…"}' ${location.origin}/login`;
