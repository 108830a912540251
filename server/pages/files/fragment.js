/* Links with a token after the `#`, which no log and no Referer ever has. */

import { byId, focusOn } from "./dom.js";
import { onReload } from "./layout.js";

/** The token of the address. It is taken out of the address bar, and so out of the history. */
export function tokenOfAddress() {
  const token = location.hash.slice(1);
  const bare = location.pathname + location.search;
  history.replaceState(null, "", bare);
  // Another link in the same tab changes only the fragment, and loads nothing.
  window.addEventListener("hashchange", () => location.reload());
  // But the skip link leads to another place of the same page, and the token has to stay.
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    focusOn(byId("main"));
  });
  onReload(() => history.replaceState(null, "", token ? `${bare}#${token}` : bare));
  return token;
}
