/* The top of a page for who is signed in: the way to the console, and out. */

import { notice } from "./announce.js";
import { api } from "./api.js";
import { byId } from "./dom.js";
import { Problem, words } from "./problem.js";
import { onUser, signOut } from "./session.js";

const ADMIN = "admin";

/** Whether a role has the rights of admins. Only the server knows which roles include that of the admins. */
export async function isAdmin(role) {
  if (role === ADMIN) return true;
  if (role === "customer") return false;
  return api("GET", "/verify", { query: { role: ADMIN } }).then(() => true, () => false);
}

let role = null;
onUser(async (user) => {
  if (user.role === role) return;
  role = user.role;
  byId("to-console").hidden = !await isAdmin(role);
});

byId("sign-out").addEventListener("click", async ({ target }) => {
  target.disabled = true;
  try {
    await signOut();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    target.disabled = false;
    // To say that one is signed out would be a lie: the cookie is still there.
    notice("sign-out", words(problem));
  }
});
