/* The page at /sign-in. */

import { byId, show } from "./dom.js";
import { Problem } from "./problem.js";
import { submits } from "./form.js";
import { pageSettings } from "./layout.js";
import "./password-field.js";
import { leave } from "./return-to.js";
import { goesOn, onSignIn, signIn } from "./session.js";

const form = byId("sign-in");

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

async function offerSignUp() {
  const { registration } = await pageSettings();
  if (registration.mode !== "open") return;
  const link = byId("to-sign-up");
  link.querySelector("a").search = location.search;
  show(link);
}

await offerSignUp().catch((problem) => {
  if (!(problem instanceof Problem)) throw problem;
});
