/* The page at /sign-in. */

import { byId, show } from "./dom.js";
import { submits } from "./form.js";
import { pageSettings } from "./layout.js";
import "./password-field.js";
import { returnTarget } from "./return-to.js";
import { goesOn, onSignIn, signIn } from "./session.js";

const form = byId("sign-in");

async function leave() {
  location.replace(await returnTarget());
}

submits(form, async ({ username, password }) => {
  try {
    await signIn(username.trim(), password);
  } catch (problem) {
    const field = form.elements.namedItem("password");
    field.focus();
    field.select();
    throw problem;
  }
  await leave();
});
form.elements.namedItem("username").focus();

onSignIn(leave);
if (await goesOn()) await leave();

const { registration } = await pageSettings();
if (registration.mode === "open") {
  const link = byId("to-sign-up");
  link.querySelector("a").search = location.search;
  show(link);
}
