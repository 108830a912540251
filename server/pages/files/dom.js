/* Elements. What is put into them is text, and never read as markup. */

import { t } from "./messages.js";

/** An element. An attribute that is null or false is left out; `on…` is a listener; children are elements and texts. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function byId(id) {
  return document.getElementById(id);
}

export function show(...elements) {
  for (const element of elements) element.hidden = false;
}

export function hide(...elements) {
  for (const element of elements) element.hidden = true;
}

/** Let a screen reader and the keyboard go on at this element, as at the heading of what is new. */
export function focusOn(element) {
  if (!element.hasAttribute("tabindex") && element.tabIndex < 0) element.setAttribute("tabindex", "-1");
  element.focus();
}

const HIDDEN = /([\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}])/u;

/** Text as it is; but what can't be seen, or turns the line around, as its code point. */
export function visible(text) {
  return text.split(HIDDEN).filter(Boolean).map((part) => {
    if (!HIDDEN.test(part)) return part;
    return el("span", { class: "odd" }, `U+${part.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`);
  });
}

/** Text that others wrote, such as a name. Beyond `most` characters it is cut, and a button `more` shows the whole. If
 * `more` is null there is no button, as inside another one. */
export function foreign(text, { most = 120, more = t("layout.more") } = {}) {
  const whole = String(text ?? "");
  const characters = [...whole];
  const element = el("span", { class: "foreign", dir: "auto" });
  if (characters.length <= most) {
    element.append(...visible(whole));
    return element;
  }
  element.append(...visible(characters.slice(0, most).join("")), "…");
  const showWhole = () => element.replaceChildren(...visible(whole));
  if (more !== null) element.append(" ", el("button", { type: "button", class: "link", onclick: showWhole }, more));
  return element;
}
