/* What the server has answered, as text: whatever is in it, nothing of it becomes a part of the page. */

import { announce } from "./announce.js";
import { signIn } from "./docs-account.js";
import { el, visible } from "./dom.js";
import { exactly } from "./exact-json.js";
import { words } from "./problem.js";

// More of a body is shown on demand.
const MOST = 10_000;

/** Show status, headers and body in the place of the answer before. */
export function showAnswer(place, response, text) {
  const leadsOn = response.type === "opaqueredirect";
  const status = leadsOn ? "The answer leads to another page" : `${response.status} ${response.statusText}`.trim();
  const headers = [...response.headers].map(([name, value]) =>
    el("div", {}, el("dt", {}, el("code", {}, name)), el("dd", { class: "foreign" }, visible(value))));
  const value = /json/.test(response.headers.get("Content-Type") ?? "") ? exactly(text) : null;
  const body = value === null ? text : JSON.stringify(value, null, 2);
  place.replaceChildren(
    el("h5", { class: response.ok ? "good" : leadsOn ? "" : "bad" }, status),
    hint(value?.code),
    el("details", {}, el("summary", {}, `${headers.length} headers`), el("dl", { class: "fields" }, headers)),
    ...shown(body),
  );
  announce(`Answer: ${status}`);
}

/** Say why there is no answer. */
export function showFailure(place, problem) {
  const text = words(problem);
  place.replaceChildren(el("p", { class: "error" }, text));
  announce(text);
}

/** What helps, for the problems where this page can. */
function hint(code) {
  if (code !== "reauthentication_required") return "";
  return el("p", {}, "This asks for a recent sign-in. ",
    el("button", { type: "button", class: "small", onclick: () => signIn() }, "Sign in again"));
}

function shown(text) {
  if (!text) return [el("p", { class: "muted" }, "No body.")];
  const lines = (part) => part.split("\n").flatMap((line, index) => (index ? ["\n", ...visible(line)] : visible(line)));
  const code = el("code", { class: "foreign" }, lines(text.slice(0, MOST)));
  const block = el("pre", { tabindex: "0", "aria-label": "Body of the answer" }, code);
  if (text.length <= MOST) return [block];
  const button = el("button", { type: "button", class: "small", onclick: () => {
    code.replaceChildren(...lines(text));
    button.remove();
    block.focus();
  } }, `Show all ${text.length} characters`);
  return [block, button];
}
