/* Pages that go on from one thing to the next, as from a name to the code of a mail. Each is a <template>, so password
 * managers and screen readers find only what is seen. */

import { announce } from "./announce.js";
import { byId, el, focusOn } from "./dom.js";

const service = document.title.slice(document.title.lastIndexOf(" · "));

/** Show this template in the place of what was shown. Returns its form; `begin` lets people go on there. */
export function turnTo(id) {
  const template = byId(id);
  const state = byId("state");
  state.replaceChildren(template.content.cloneNode(true));
  entitle(template.dataset.title);
  return state.querySelector("form");
}

/** Another heading and title of the page. */
export function entitle(title) {
  byId("title").textContent = title;
  document.title = title + service;
}

/** The keyboard goes on at the first field that is empty, and what stands above the form is said. */
export function begin(form) {
  const fields = [...form.elements].filter((field) => field.matches("input") && field.checkVisibility());
  (fields.find((field) => !field.value) ?? fields[0] ?? form.querySelector('button[type="submit"]')).focus();
  const said = [byId("title"), ...byId("state").querySelectorAll(".told")].map((part) => part.textContent.trim());
  announce(said.map((text) => text.replace(/[^.?!]$/, "$&.")).join(" "));
}

/** A link that looks like the one thing to do next. */
export function wayOn(href, label) {
  return el("p", { class: "actions" }, el("a", { class: "button primary", href }, label));
}

/** Show that it is over: a title, a text, and what to do next. */
export function finish(title, text, ...next) {
  entitle(title);
  byId("state").replaceChildren(el("p", {}, text), ...next);
  focusOn(byId("title"));
}
