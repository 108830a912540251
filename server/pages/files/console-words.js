/* Small pieces of text that several views show. */

import { el, foreign, visible } from "./dom.js";
import { ago, has, t, time } from "./messages.js";

/** A name as it fits into a line, a link or a title. It is cut if it is too long; the page of its user has it whole. */
export function name(text, most = 60) {
  const characters = [...text];
  const cut = characters.length > most;
  return el("span", { class: "foreign", dir: "auto" }, visible(characters.slice(0, most).join("")), cut && "…");
}

/** Text that others wrote. Where it is too long, a button shows the rest. */
export function whole(text, most = 120) {
  return foreign(text, { most });
}

/** How long ago, with the time itself for who points at it. */
export function since(iso) {
  if (!iso) return t("console.never");
  return el("time", { datetime: iso, title: time(iso) }, ago(iso));
}

/** The time itself. */
export function at(iso) {
  return iso ? el("time", { datetime: iso, title: iso }, time(iso)) : "—";
}

/** Whether a user may sign in. */
export function stateOf({ disabled }) {
  return disabled ? badge(t("console.state.disabled"), "bad") : t("console.state.active");
}

export function badge(text, tone = "") {
  return el("span", { class: `badge ${tone}` }, text);
}

/** The message of that key, or the text itself where there is none: a server that is newer may know more. */
export function wordsFor(group, text) {
  const key = `${group}.${text}`;
  return has(key) ? t(key) : text;
}
