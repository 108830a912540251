/* The page at /console: who may see it, and which view is shown. Each view is a module of its own, loaded when it is
 * first shown. */

import { api, Problem } from "./api.js";
import { here } from "./console-place.js";
import { trouble } from "./console-trouble.js";
import { name } from "./console-words.js";
import { byId, el, focusOn, show } from "./dom.js";
import "./layout.js";
import { load, t } from "./messages.js";
import { onUser, start } from "./session.js";
import "./signed-in.js";

// What a module of the same name has: `open({id, query, me})` gives `{title, content}`, or a promise of it.
const VIEWS = {
  users: "users",
  "users/new": "new-user",
  "users/?": "user",
  "users/?/edit": "edit-user",
  invitations: "invitations",
  "invitations/new": "invite",
  audit: "audit",
  mails: "mails",
  keys: "keys",
  settings: "settings",
  routes: "routes",
  today: "today",
};
const service = document.title.slice(document.title.indexOf(" · "));
let moves = 0;

function moduleFor({ view, id, part }) {
  const path = [view, id && (id === "new" ? id : "?"), part].filter(Boolean).join("/");
  return Object.hasOwn(VIEWS, path) ? VIEWS[path] : undefined;
}

/** Show the view of the address. `moved` says that somebody was already here, so the heading gets the focus. */
async function route(me, moved) {
  moves += 1;
  const move = moves;
  const place = here();
  const view = byId("view");
  mark(place.view);
  view.setAttribute("aria-busy", "true");
  let shown;
  try {
    const found = moduleFor(place);
    shown = found ? (await opened(found)).open({ ...place, me }) : nowhere();
    shown = await shown;
  } catch (problem) {
    shown = failed(problem, problem.code === "outdated" ? () => location.reload() : () => route(me, true));
  }
  // Somebody has gone on meanwhile, or the session is over and the page says so.
  if (move !== moves || !view.isConnected) return;
  paint(shown);
  if (moved) {
    focusOn(byId("title"));
    scrollTo(0, 0);
  }
}

async function opened(found) {
  try {
    return await import(`./console-${found}.js`);
  } catch (error) {
    // The browser throws it where the file could not be fetched.
    if (error instanceof TypeError) throw new Problem({ code: "network" });
    // The server has other files than this page, after an update: they don't fit together.
    if (error instanceof SyntaxError) throw new Problem({ code: "outdated" });
    throw error;
  }
}

function nowhere() {
  return {
    title: t("console.nowhere.title"),
    content: [el("p", {}, el("a", { href: "#users" }, t("console.nowhere.text")))],
  };
}

function mark(view) {
  for (const link of byId("views").querySelectorAll("a")) {
    if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** Whether this user has the rights of an admin. To be told, no data of others is asked for. */
async function isAdmin() {
  try {
    await api("GET", "/verify", { query: { role: "admin" } });
    return true;
  } catch (problem) {
    if (problem.code === "insufficient_role") return false;
    throw problem;
  }
}

function refused(me) {
  return {
    title: t("console.refused.title"),
    content: [
      el("p", {}, t("console.refused.text"), " ", name(me.username), "."),
      el("p", {}, t("console.refused.way")),
      el("p", { class: "actions" }, el("a", { class: "button", href: "/account" }, t("console.refused.account"))),
    ],
  };
}

function failed(problem, again) {
  return { title: t("console.failed"), content: [trouble(problem, again)] };
}

/** Put it on the page. `title` and `content` are lists of elements and texts. */
function paint({ title, content }) {
  const heading = byId("title");
  heading.replaceChildren(...[title].flat().map((part) => (typeof part === "string" ? name(part) : part)));
  document.title = heading.textContent + service;
  const view = byId("view");
  view.removeAttribute("aria-busy");
  view.replaceChildren(...content.filter(Boolean));
}

async function begin(me) {
  let admin;
  try {
    admin = await isAdmin();
  } catch (problem) {
    paint(failed(problem, () => begin(me)));
    return;
  }
  if (!admin) {
    paint(refused(me));
    return;
  }
  show(byId("views"));
  window.addEventListener("hashchange", () => route(me, true));
  // The fragment says which view is shown, so the skip link must not change it.
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    focusOn(byId("title"));
  });
  await route(me, false);
}

const [me] = await Promise.all([start(), load("console")]);
// Another role may see more, or nothing of this any more. What was typed comes back with the page.
onUser((user) => { if (user.role !== me.role) location.reload(); });
await begin(me);
