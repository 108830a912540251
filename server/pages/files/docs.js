/* The page at /docs: what can be read without a script can be tried with it. */

import "./layout.js";
import { onAccountChange, signIn, signOut, signedIn } from "./docs-account.js";
import { prepare } from "./docs-try.js";
import { byId, el, show, visible } from "./dom.js";

/** Open what the address leads to. */
function reveal() {
  const target = document.querySelector(":target");
  if (!(target instanceof HTMLDetailsElement) || target.open) return;
  target.open = true;
  target.scrollIntoView();
}

/** The examples call the server that the page is from. */
function here(text) {
  return text.replaceAll("http://127.0.0.1:8080", location.origin);
}

function showAccount() {
  const account = signedIn();
  byId("who").replaceChildren(...(account ? ["Signed in as ", el("b", { class: "foreign" }, visible(account.username)), ", ",
    el("code", {}, visible(account.role)), "."] : ["You are not signed in."]));
  byId("sign-in").textContent = account ? "Sign in again" : "Sign in";
  byId("sign-out").hidden = !account;
}

const wide = matchMedia("(min-width: 64rem)");
const contents = document.querySelector(".contents");
contents.open = wide.matches;
wide.addEventListener("change", () => { contents.open = wide.matches; });
contents.addEventListener("click", (event) => {
  // On a phone the list would hide what it leads to.
  if (event.target.closest("a") && !wide.matches) contents.open = false;
});

for (const code of document.querySelectorAll(".curl")) code.textContent = here(code.textContent);
for (const route of document.querySelectorAll(".route")) {
  route.addEventListener("toggle", () => { if (route.open) prepare(route); });
}
byId("sign-in").addEventListener("click", () => signIn());
byId("sign-out").addEventListener("click", signOut);
onAccountChange(showAccount);
showAccount();
show(byId("account"));
addEventListener("hashchange", reveal);
reveal();
