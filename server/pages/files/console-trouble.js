/* What went wrong, in words, where the answer would have been. */

import { el } from "./dom.js";
import { t } from "./messages.js";
import { words } from "./problem.js";

/** The words, and a button that calls `again`, if that is given. */
export function trouble(problem, again) {
  return el(
    "div",
    { class: "notice bad", role: "alert" },
    el("p", {}, words(problem)),
    again && el("button", { type: "button", class: "small", onclick: again }, t("console.again")),
  );
}

/** A button with work that may fail. What goes wrong is said in `place`; who gives up at a question is told nothing.
 *
 * It is not disabled meanwhile: else it could not get the focus back from a dialog. `of` tells whoever hears the button
 * alone which row it is for. */
export function worker({ label, place, work, kind = "", of = "" }) {
  let busy = false;
  const act = async () => {
    if (busy) return;
    busy = true;
    place.replaceChildren();
    try {
      await work();
    } catch (problem) {
      if (problem.code !== "cancelled") place.replaceChildren(trouble(problem));
    } finally {
      busy = false;
    }
  };
  const button = el("button", { type: "button", class: kind, onclick: act }, label);
  if (of) button.setAttribute("aria-label", `${label}: ${of}`);
  return button;
}
