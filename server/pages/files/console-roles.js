/* The roles that there are. */

import { api } from "./api.js";

/** The names of all roles: those of the settings in their order, then those that only users still have. */
export async function roles() {
  const { users } = await api("GET", "/stats");
  return Object.keys(users.by_role);
}
