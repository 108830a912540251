/* "Try it" of a route: a form of its parameters and its body, and what the server answers. */

import { accessToken, signedIn, signIn } from "./docs-account.js";
import { showAnswer, showFailure } from "./docs-answer.js";
import { confirm } from "./dialog.js";
import { el } from "./dom.js";
import { Problem } from "./problem.js";

const PATIENCE_MS = 30_000;

/** Put the form into a route that was opened, once. */
export function prepare(route) {
  const place = route.querySelector(".try");
  if (place.childElementCount) return;
  const { method, path } = route.dataset;
  const parameters = [...route.querySelectorAll("[data-in]")].map((row) => parameter(route.id, row.dataset));
  const example = route.querySelector("pre.body");
  const body = example && bodyField(route.id, example.textContent);
  // The field has it now.
  if (example) example.hidden = true;
  const button = el("button", { type: "submit", class: "primary" }, "Send");
  const answer = el("div", { class: "answer" });
  const form = el("form", { novalidate: true, "aria-label": `Try ${method} ${path}` },
    el("h4", {}, "Try it"), el("div", { class: "parameters" }, parameters.map(({ row }) => row)), body?.row, el("div", { class: "actions" }, button));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    try {
      const request = requestOf(route.dataset, parameters, body);
      if (request && await mayGoOn(route.dataset, request)) await send(request, route.dataset, answer);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      showFailure(answer, problem);
    } finally {
      button.disabled = false;
    }
  });
  place.append(form, answer);
}

function parameter(id, { name, in: place, example, required, choices }) {
  const known = `${id}-${name}`;
  const input = choices
    ? el("select", { id: known }, ["", ...choices.split(" ")].map((value) => el("option", { value }, value)))
    : el("input", { id: known, placeholder: example, autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  const error = el("p", { class: "error", id: `${known}-error`, hidden: true }, "This is needed.");
  input.setAttribute("aria-describedby", error.id);
  const label = el("label", { for: known }, el("code", {}, name), required === undefined ? " (optional)" : "");
  return { name, place, needed: required !== undefined, input, error, row: el("div", { class: "field" }, label, input, error) };
}

function bodyField(id, example) {
  const known = `${id}-body`;
  const input = el("textarea", { id: known, rows: Math.min(example.split("\n").length + 1, 14), spellcheck: "false",
    autocapitalize: "none", autocomplete: "off", "aria-describedby": `${known}-error` });
  input.value = example;
  const error = el("p", { class: "error", id: `${known}-error`, hidden: true });
  return { input, error, row: el("div", { class: "field" }, el("label", { for: known }, "Body"), input, error) };
}

/** What will be sent; null if something is missing, which is said at its field. */
function requestOf({ method, path }, parameters, body) {
  let missing = null;
  const query = new URLSearchParams();
  for (const { name, place, needed, input, error } of parameters) {
    // Half a character can't be sent.
    const value = input.value.toWellFormed();
    const empty = value === "";
    error.hidden = !(needed && empty);
    input.toggleAttribute("aria-invalid", needed && empty);
    if (needed && empty) missing ??= input;
    else if (place === "path") path = path.replace(`{${name}}`, encodeURIComponent(value));
    else if (!empty) query.set(name, value);
  }
  missing?.focus();
  const url = new URL(path, location.origin);
  url.search = query;
  return missing ? null : { method, url, body: body?.input.value.trim() || null };
}

/** Whether the caller has the token that it takes, and means what can't be undone. */
async function mayGoOn({ token, recent }, { method, url }) {
  if (token !== undefined && !signedIn() && !await signIn()) return false;
  if (method !== "DELETE" && recent !== "always") return true;
  return confirm({
    title: `Send ${method}?`,
    text: ["This goes to the server, and can’t be taken back: ", el("code", {}, `${method} ${url.pathname}${url.search}`)],
    action: "Send",
    danger: true,
  });
}

async function send({ method, url, body }, { token }, place) {
  const headers = body ? { "Content-Type": "application/json" } : {};
  const bearer = token === undefined ? null : await accessToken();
  if (bearer) headers.Authorization = `Bearer ${bearer}`;
  let response;
  let text;
  try {
    response = await fetch(url, {
      method, headers, body: body ?? undefined, cache: "no-store", credentials: "omit", redirect: "manual",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    text = await response.text();
  } catch {
    throw new Problem({ code: "network" });
  }
  showAnswer(place, response, text);
}
