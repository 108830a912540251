/* The page at /inspect: the field, and the questions to the server about what is in it. */

import "./layout.js";
import { byId, el } from "./dom.js";
import { exactly } from "./exact-json.js";
import { failure } from "./inspect-failure.js";
import { readPasted } from "./inspect-pasted.js";
import { onExpiry, show, showEmpty, tell } from "./inspect-report.js";

const field = byId("token");
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
  if (whole || token !== current) byId("note").textContent = note;
  byId("clear").disabled = field.value === "";
  byId("again").disabled = token === "";
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
  byId("result").setAttribute("aria-busy", "true");
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

/* ---- The field ---- */

/** The layer above the field: the same text, its three parts in colours. */
function paint() {
  const parts = field.value.split(".");
  const names = ["header", "payload", "signature"];
  const nodes = parts.length === 3
    ? parts.flatMap((part, index) => [index ? "." : "", el("i", { class: names[index] }, part)])
    : [field.value];
  // A last line that is empty has a height in the field alone.
  byId("colours").replaceChildren(...nodes, field.value.endsWith("\n") ? " " : "");
  follow();
}

function follow() {
  byId("colours").scrollTop = field.scrollTop;
}

function clear() {
  field.value = "";
  paint();
  look();
  byId("note").textContent = "";
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
byId("again").addEventListener("click", () => look({ again: true }));
byId("clear").addEventListener("click", () => {
  clear();
  field.focus();
});
// Else a browser that keeps the page for going back would keep the token.
window.addEventListener("pagehide", clear);

onExpiry(() => { if (!asking && current) ask(current); });

byId("host").textContent = location.host;
byId("login").textContent = `curl -s -X POST -H 'Content-Type: application/json' \\
  -d '{"username": "admin", "password": "…"}' ${location.origin}/login`;
