/* A link that has to be handed over. It holds a secret: it is shown once, and kept nowhere. */

import { announce } from "./announce.js";
import { pageSettings } from "./layout.js";
import { el, focusOn } from "./dom.js";
import { t } from "./messages.js";

/** The address of a page with a token. It is in the fragment, so no log and no Referer has it. */
export async function linkTo(path, token) {
  const { public_url: origin } = await pageSettings();
  return `${origin || location.origin}${path}#${token}`;
}

/** Show the link in `place`. `text` says whom it is for, and how long it works. */
export function hand({ place, title, text, link }) {
  const heading = el("h2", {}, title);
  const shown = el("input", {
    type: "text",
    readonly: true,
    value: link,
    "aria-label": t("console.secret.link"),
    spellcheck: "false",
  });
  shown.addEventListener("focus", () => shown.select());
  const copy = el("button", { type: "button", class: "primary" }, t("console.secret.copy"));
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(link);
      copy.textContent = t("console.secret.copied");
      announce(t("console.secret.copied"));
    } catch {
      // Without HTTPS, or where the browser does not let the page.
      shown.focus();
      announce(t("console.secret.by_hand"));
    }
  });
  place.replaceChildren(
    el(
      "section",
      { class: "secret" },
      heading,
      el("p", {}, text),
      el("div", { class: "copy" }, shown, copy),
      el("p", { class: "hint" }, t("console.secret.once")),
    ),
  );
  focusOn(heading);
}
