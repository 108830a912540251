/* Links to users of whom only the id is known. */

import { api } from "./api.js";
import { to } from "./console-place.js";
import { name } from "./console-words.js";
import { el } from "./dom.js";

/** Makes links. Each shows the id until the name is known, which is asked for once for all links to the same user. */
export function userLinks() {
  const users = new Map();
  return (id) => {
    const link = el("a", { href: to("users", { id }) }, name(id));
    if (!users.has(id)) users.set(id, api("GET", `/users/${encodeURIComponent(id)}`));
    // Who was deleted meanwhile has no name any more.
    users.get(id).then(
      ({ user }) => link.replaceChildren(name(user.name)),
      () => {},
    );
    return link;
  };
}
