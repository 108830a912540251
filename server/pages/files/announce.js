/* What a screen reader says, without moving the focus. */

import { byId } from "./dom.js";

const AGAIN_MS = 100;

/** Say it. The same text twice is said twice. */
export function announce(text) {
  const announcer = byId("announcer");
  announcer.textContent = "";
  setTimeout(() => { announcer.textContent = text; }, AGAIN_MS);
}

const shown = new Map();

/** Show a notice at the top of the page, or take it away if there is no text. `name` says which one. */
export function notice(name, ...content) {
  shown.get(name)?.remove();
  shown.delete(name);
  if (!content.length) return;
  const element = document.createElement("p");
  element.className = "notice";
  element.append(...content);
  shown.set(name, element);
  byId("notices").append(element);
  announce(element.textContent);
}
