/* What each page has: the choice of the language, and what has to be said about the address. */

import { notice } from "./announce.js";
import { Problem, send } from "./api.js";
import { el } from "./dom.js";
import { around, t } from "./messages.js";

const LANGUAGE_SECONDS = 365 * 86_400;
let beforeReload = () => {};

/** Called before the page is loaded again in another language. */
export function onReload(keep) {
  beforeReload = keep;
}

/** Load the page again in another language, and all pages from now on. */
export function setLanguage(language) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `watchword-language=${language}; Path=/; Max-Age=${LANGUAGE_SECONDS}; SameSite=Lax${secure}`;
  beforeReload();
  location.reload();
}

for (const button of document.querySelectorAll("button[data-language]")) {
  button.addEventListener("click", () => setLanguage(button.dataset.language));
}

if (!window.isSecureContext) notice("address", t("layout.not_secure"));

let asked = null;

/** What this server says of itself (GET /pages/settings). */
export function pageSettings() {
  asked ??= send("GET", "/pages/settings").catch((problem) => {
    // Whoever asks next asks the server again.
    asked = null;
    throw problem;
  });
  return asked;
}

async function compareOrigins() {
  const { public_url: address } = await pageSettings();
  if (!address || new URL(address).origin === location.origin) return;
  const link = el("a", { href: new URL(location.pathname + location.search, address).href }, address);
  notice("address", ...around("layout.other_origin", { address: link }));
}

compareOrigins().catch((problem) => {
  if (!(problem instanceof Problem)) throw problem;
});
