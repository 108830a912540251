/* Where in the console somebody is. It stands in the fragment, so links, the back button and a reload work:
 * `#users/<id>?q=ada`. */

/** `{view, id, part, query}` of the address: `#users/<id>/edit?q=ada` is view users, that id, part edit. */
export function here() {
  const [path, query] = location.hash.slice(1).split("?", 2);
  const [view, id = "", part = ""] = path.split("/").map(decoded);
  return { view: view || "users", id, part, query: new URLSearchParams(query ?? "") };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The fragment of a place. Values that are empty are left out. */
export function to(view, { id, part, ...query } = {}) {
  const path = [view, id, part].filter(Boolean).map(encodeURIComponent).join("/");
  const given = new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString();
  return given ? `#${path}?${given}` : `#${path}`;
}

/** Go there, as by a link. */
export function go(fragment) {
  location.hash = fragment;
}

/** The place is the same, but described in more detail: a reload and the back button come back to it like this. */
export function stayAt(fragment) {
  history.replaceState(null, "", fragment);
}

/** What a view has kept for when somebody comes back to this entry of the history. */
export function kept(name) {
  return history.state?.[name];
}

export function keep(name, value) {
  history.replaceState({ ...history.state, [name]: value }, "");
}
