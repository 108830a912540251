"""What is so for every page: who can use it and on what, how much is loaded, and that nobody frames it."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from server.pages.pages import PATHS
from tests.browser.looking import look_at
from tests.browser.scene import USERNAME
from tests.listening import listening

if TYPE_CHECKING:
    from tests.browser.conftest import Visit
    from tests.browser.hosted import Hosted
    from tests.in_process import LocalServer

SIGNED_IN = [path for path in PATHS if path in {"/account", "/console"}]
OPEN = [path for path in PATHS if path not in SIGNED_IN]
# For people who write programs, in English alone.
FOR_DEVELOPERS = ["/docs", "/inspect"]
# A token that is none: such pages say so. test_mailed_pages.py looks at what people do by mail.
WITH_TOKEN = {"/invitation": "/invitation#wwi_none", "/reset-password": "/reset-password#wwf_none"}
VIEWS = ["users", "users/new", "users/{user}", "users/{user}/edit", "invitations", "invitations/new", "audit", "mails",
         "keys", "settings", "routes", "today"]  # fmt: skip
OPEN_SOME = """
const some = ".contents, #get-users, #post-users, #delete-users-user_id, #last_admin";
for (const part of document.querySelectorAll(some)) {
  for (const one of [part, ...part.querySelectorAll("details")]) one.open = true;
}
"""
MOST_BYTES = 60_000
SIGN_IN = """
const [username, password, done] = arguments;
const body = JSON.stringify({username, password, cookie: true});
fetch("/login", {method: "POST", headers: {"Content-Type": "application/json"}, body})
  .then(({status}) => done(status), (error) => done(`${error}`));
"""
FRAME = """
const [url, done] = arguments;
const frame = document.createElement("iframe");
frame.addEventListener("load", () => done());
frame.src = url;
document.body.append(frame);
"""


def signed_in(visit: Visit, hosted: LocalServer, path: str, **screen: object) -> Hosted:
    """That page, for the admin, with nothing in the cache."""
    page: Hosted = visit(**screen)
    page.go("/health/live")
    assert page.run_async(SIGN_IN, "admin", hosted.admin_password()) == 200
    page.browser.all_exchanges()
    page.visit(path)
    return page


@pytest.mark.parametrize("path", OPEN)
def test_a_page_for_everybody_keeps_nobody_out(visit: Visit, axe: str, path: str) -> None:
    for language in ("de", "en"):
        # What axe-core looks for does not depend on the language.
        look_at(visit(WITH_TOKEN.get(path, path), language=language), axe if language == "de" else None, language)


@pytest.mark.parametrize("path", FOR_DEVELOPERS)
def test_a_page_for_developers_keeps_nobody_out(visit: Visit, axe: str, path: str) -> None:
    page = visit(path, language="de")
    # Some of what is alike many times.
    page.run(OPEN_SOME)
    look_at(page, axe, "en")


def test_the_account_keeps_nobody_out(visit: Visit, hosted: LocalServer, axe: str) -> None:
    for language in ("de", "en"):
        page = signed_in(visit, hosted, "/account", language=language)
        look_at(page, axe if language == "de" else None, language)


def test_no_view_of_the_console_keeps_anybody_out(visit: Visit, hosted: LocalServer, axe: str) -> None:
    page = signed_in(visit, hosted, "/console", language="de")
    token = hosted.log_in("admin", hosted.admin_password())["token"]
    user = hosted.call("GET", f"/users?q={USERNAME}", token=token)[1]["users"][0]["id"]
    for view in VIEWS:
        page.visit(f"/console#{view.format(user=user)}")
        look_at(page, axe, "de")


@pytest.mark.parametrize("path", [*PATHS, *FOR_DEVELOPERS])
def test_a_first_load_is_small_and_asks_nobody_else(visit: Visit, hosted: LocalServer, path: str) -> None:
    page = signed_in(visit, hosted, path) if path in SIGNED_IN else visit(path)
    loaded = [one for one in page.browser.all_exchanges() if not one.url.startswith(("chrome", "data:", "about:"))]
    assert [one.url for one in loaded if not one.url.startswith(f"{hosted.address}/")] == []
    assert any(one.path == path and one.received_bytes > 0 for one in loaded), loaded
    sizes = {one.path: one.received_bytes for one in loaded if one.path not in {"/health/live", "/login"}}
    assert sum(sizes.values()) <= MOST_BYTES, sizes


class _Elsewhere(BaseHTTPRequestHandler):
    """A page of somebody else."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_no_page_is_shown_in_a_frame(visit: Visit, hosted: LocalServer) -> None:
    page = visit()
    with listening(elsewhere := ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere)):
        page.go(f"http://127.0.0.1:{elsewhere.server_port}/")
        # The last one does not refuse it, so the browser lets a page of elsewhere try.
        for path in (*PATHS, *FOR_DEVELOPERS, "/health/live"):
            page.run_async(FRAME, hosted.address + path)
        *refused, shown = page.cdp("Page.getFrameTree")["frameTree"]["childFrames"]
    assert {one["frame"]["url"] for one in refused} == {"chrome-error://chromewebdata/"}
    assert shown["frame"]["url"] == f"{hosted.address}/health/live"
    page.browser.complaints()
