/* A browser client of Watchword, without a library. The first half is what a page of yours would take over: login,
 * resume, call, logout. The second half shows it. */

// ":8080" becomes this page's own host with that port. So the page and the server are one site whether the page was
// opened as 127.0.0.1 or as localhost, and the SameSite=Strict cookie travels.
const API = new URL(
  document.querySelector('meta[name="api"]').content.replace(/^:/, `${location.protocol}//${location.hostname}:`),
).origin;

// The access token lives in this variable and nowhere else. localStorage and sessionStorage can be read by every script
// that ever gets into the page, and outlive the page; a variable of a module cannot be read from outside, and is gone
// with the tab. Losing it costs nothing: the refresh token is in an HttpOnly cookie, which no script can read, and
// POST /refresh makes a new access token of it.
let token = null;
let user = null;
let refreshing = null;

/** A failure the server has explained (RFC 9457). Its detail is meant for people, its code for programs. */
class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? `The server answered with status ${status}.`);
    this.status = status;
    this.code = body.code ?? "";
    this.body = body;
  }
}

/** No answer at all: this says nothing about the session. */
class Unreachable extends Error {}

/** The cookie belongs to somebody else by now: another tab has logged in as another user. */
class OtherUser extends Error {}

async function send(method, path, { body, bearer, keepalive = false } = {}) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (bearer) headers["Authorization"] = `Bearer ${bearer}`;
  let response;
  try {
    response = await fetch(API + path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      // Another port is another origin, and to another origin the browser sends (and takes) cookies only with this.
      credentials: "include",
      cache: "no-store",
      keepalive,
    });
  } catch {
    note(method, path, "no answer");
    // The browser does not tell a page which of the two it was.
    throw new Unreachable(`No answer from ${API}. Either it is down, or cors.origins does not have ${location.origin}.`);
  }
  note(method, path, response.status);
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(response.status, answer);
  return { status: response.status, body: answer };
}

async function logIn(username, password) {
  // "cookie": the refresh token comes as a cookie, and not in the body, where a script could take it.
  const answer = await send("POST", "/login", { body: { username, password, cookie: true } });
  user = await whoIs(answer.body.token);
  token = answer.body.token;
}

async function whoIs(bearer) {
  return (await send("GET", "/me", { bearer })).body.user;
}

/** A new access token from the cookie. All who ask while one request is under way get the result of that one.
 *
 * Tabs share the cookie but not this promise, so two tabs can refresh with the same token at the same moment. That needs
 * no lock here: the server gives both the same successor. */
function refresh() {
  refreshing ??= renew().finally(() => { refreshing = null; });
  return refreshing;
}

async function renew() {
  try {
    // "keepalive": the browser takes the new cookie even if the page is left before the answer is here. Else it would
    // keep the used one, and to come back with that after sessions.retry_window_seconds would end the session.
    const answer = await send("POST", "/refresh", { keepalive: true });
    const before = user;
    user = await whoIs(answer.body.token);
    token = answer.body.token;
    // What was begun as one user must not be done as another.
    if (before && before.id !== user.id) throw new OtherUser(`Another tab has logged in as ${user.username}.`);
  } catch (error) {
    // 401 is the one answer that ends a session. A server that is down or busy does not.
    if (error.status === 401) forget();
    throw error;
  }
}

function forget() {
  token = null;
  user = null;
}

/** A call as the logged-in user. On a 401 it refreshes once and tries once more: the usual reason is a token that has
 * expired. Nothing was done by the call that got the 401, so to repeat it is safe for any method. */
async function call(method, path, body) {
  const used = token;
  try {
    return await send(method, path, { body, bearer: used });
  } catch (error) {
    if (error.status !== 401) throw error;
  }
  // Another call may have renewed the token while this one was under way.
  if (token === used) await refresh();
  return send(method, path, { body, bearer: token });
}

async function logOut() {
  // Else an answer to /refresh that comes after the one to /logout would put a cookie back.
  await refreshing?.catch(() => {});
  try {
    await send("POST", "/logout");
  } catch (error) {
    // 401: the session was over before. Anything else: the cookie is still there, and to say otherwise would be a lie.
    if (error.status !== 401) throw error;
  }
  forget();
}

/* ---- The page ---- */

const $ = (id) => document.getElementById(id);

function note(method, path, outcome) {
  const line = document.createElement("li");
  line.textContent = `${method} ${path}: ${outcome}`;
  $("requests").append(line);
  while ($("requests").childElementCount > 50) $("requests").firstElementChild.remove();
}

function say({ error = "", news = "" }) {
  $("error").textContent = error;
  $("news").textContent = news;
}

function show(view, { focus = true } = {}) {
  const changed = $(view).hidden;
  for (const section of document.querySelectorAll(".view")) section.hidden = section.id !== view;
  if (view === "account") {
    $("name").textContent = user.name || user.username;
    $("shown-username").textContent = user.username;
    $("role").textContent = user.role;
  } else {
    $("answer").hidden = true;
    $("answer").textContent = "";
  }
  if (!changed || !focus) return;
  // Who uses a screen reader or the keyboard goes on where the page goes on.
  if (view === "login") $("username").focus();
  else $(view).querySelector("h2")?.focus();
}

/** What went wrong, in the server's words where it has some, and the view that follows from it. */
function explain(error) {
  if (!(error instanceof Problem || error instanceof Unreachable || error instanceof OtherUser)) throw error;
  // Without a cookie, as after a logout in another tab, the server's words are for who wrote the page.
  const over = error.code === "refresh_invalid";
  say({ error: over ? "Your session is over. Please log in again." : error.message });
  show(user ? "account" : "login");
}

async function resume({ focus }) {
  try {
    await refresh();
    say({ news: "Your session goes on." });
    show("account", { focus });
  } catch (error) {
    if (error.code === "refresh_invalid") {
      // No cookie, or one of a session that was ended: nobody is logged in, and that is no error.
      say({});
      show("login", { focus });
    } else if (error.status === 401) {
      explain(error);
    } else {
      say({ error: error.message });
      show("offline", { focus });
    }
  }
}

/** While one of these runs, its button is out of order: a second click would do it twice. */
function action(button, does) {
  return async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    try {
      await does();
    } catch (error) {
      explain(error);
    } finally {
      button.disabled = false;
    }
  };
}

$("login-form").addEventListener("submit", action($("login-form").querySelector("button"), async () => {
  try {
    await logIn($("username").value, $("password").value);
  } catch (error) {
    $("password").select();
    throw error;
  }
  $("login-form").reset(); // the password has no reason to stay in the page
  say({ news: "You are logged in." });
  show("account");
}));

$("logout").addEventListener("click", action($("logout"), async () => {
  await logOut();
  say({ news: "You are logged out." });
  show("login");
}));

$("renew").addEventListener("click", action($("renew"), async () => {
  await refresh();
  say({ news: "The page has a new access token." });
  show("account");
}));

$("again").addEventListener("click", action($("again"), () => resume({ focus: true })));

$("call").addEventListener("click", async () => {
  const path = $("path").value;
  const answer = (status, body) => {
    $("answer").textContent = `${status}\n${JSON.stringify(body, null, 2)}`;
    $("answer").hidden = false;
  };
  say({});
  try {
    const { status, body } = await call("GET", path);
    answer(status, body);
    say({ news: `GET ${path} has answered.` });
    show("account");
  } catch (error) {
    explain(error);
    if (user && error instanceof Problem) answer(error.status, error.body);
  }
});

await resume({ focus: false });
