"""The page at /account, as its user sees it: what it does, and how it learns that its session is over."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.scene import PASSWORD, USERNAME

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.conftest import Visit
    from tests.browser.hosted import Hosted
    from tests.in_process import LocalServer

NEW_PASSWORD = "quiet herons fold maps"
HOSTILE = "\u202e<img src=x onerror=alert(1)>" + "x" * 150
DEVICES = """
const [agents, done] = arguments;
import(document.querySelector('link[href$="/device.js"]').href)
  .then(({ device }) => done(agents.map(device).map((found) => found.textContent ?? found)));
"""
# What the page looks after every few seconds happens now.
LOOK_NOW = "window.dispatchEvent(new Event('focus'))"


def at_account(visit: Visit, username: str = USERNAME, password: str = PASSWORD, **screen: Any) -> Hosted:
    page: Hosted = visit("/account", **screen)
    page.is_at("/sign-in")
    page.sign_in(username, password)
    page.is_at("/account")
    page.shows("#sessions [data-session]")
    return page


def admin(hosted: LocalServer) -> str:
    token: str = hosted.log_in("admin", hosted.admin_password())["token"]
    return token


def user_id(hosted: LocalServer, token: str) -> str:
    found: str = hosted.call("GET", f"/users?q={USERNAME}", token=token)[1]["users"][0]["id"]
    return found


def is_over(page: Hosted, kind: str) -> None:
    page.until(lambda: page.run("return document.getElementById('main').dataset.over") == kind, f"it is over: {kind}")
    assert page.run("return document.activeElement.tagName") == "H1"
    assert page.run("return document.querySelectorAll('dialog, .top nav').length") == 0


def test_it_shows_the_user_and_changes_name_and_password(visit: Visit, hosted: LocalServer) -> None:
    hosted.log_in(USERNAME, PASSWORD)
    page = at_account(visit)
    assert page.run("return location.search + location.hash") == ""
    page.send("#profile", name=HOSTILE)
    page.shows("#profile .form-done")
    assert page.run("return document.getElementById('name').value") == HOSTILE
    page.until(lambda: page.run("return document.querySelectorAll('[data-session]').length") == 2, "two sessions")
    assert page.run("return document.querySelectorAll('[data-session][data-current]').length") == 1

    page.click("#password-change summary")
    page.fill("#password-form", current_password="not it", new_password="four")
    assert "11" in page.content("#new_password-hint")
    page.fill("#password-form", new_password="correct horse battery staple")
    page.click("#password-form button[type=submit]")
    page.shows("#current_password-error")
    assert page.focused() == "current_password"
    page.fill("#password-form", current_password=PASSWORD)
    page.click("#password-form button[type=submit]")
    # The server decides: this one has enough characters, and is in the lists of leaked ones.
    page.shows("#new_password-error")
    page.send("#password-form", current_password=PASSWORD, new_password=NEW_PASSWORD)
    page.shows("#password-done")
    page.until(lambda: page.run("return document.querySelectorAll('[data-session]').length") == 1, "the others ended")
    assert hosted.log_in(USERNAME, NEW_PASSWORD)["token"]


def test_sessions_end_one_by_one_and_all_at_once(visit: Visit, hosted: LocalServer) -> None:
    other = hosted.log_in(USERNAME, PASSWORD)["token"]
    page = at_account(visit, language="de", width=360)
    page.click("#sessions button[data-action=end]")
    page.until(lambda: hosted.call("GET", "/me", token=other)[0] == 401, "the other one has ended")
    page.until(lambda: page.run("return document.querySelectorAll('[data-session]').length") == 1, "it is not shown")
    page.click("#end-all")
    page.shows("dialog")
    page.click("dialog button[value=no]")
    page.click("#end-all:enabled")
    page.click("dialog button[value=yes]")
    page.is_at("/sign-in")
    page.go("/account")
    page.is_at("/sign-in")


def test_what_needs_a_recent_sign_in_asks_for_the_password_and_goes_on(
    visit: Visit, hosted: LocalServer, tmp_path: Path
) -> None:
    token = admin(hosted)
    path = f"/users/{user_id(hosted, token)}"
    assert hosted.call("PATCH", path, {"email": "lak@example.com"}, token)[0] == 200
    page = at_account(visit)
    with contextlib.closing(sqlite3.connect(tmp_path / "hosted" / "data" / "watchword.db")) as store, store:
        store.execute("UPDATE sessions SET authenticated_at = authenticated_at - 601000")
    # Its token is from before that.
    page.reload()
    page.click("#emails button")
    page.click("dialog button[value=yes]")
    page.shows("#confirm-password")
    assert page.focused() == "password"
    page.send("dialog form[method=post]", password="not it")
    page.shows("dialog .form-error")
    page.send("dialog form[method=post]", password=PASSWORD)
    page.until(lambda: "lak@example.com" not in page.content("#emails"), "the address is removed")
    assert not page.sees("dialog")
    assert hosted.call("GET", path, token=token)[1]["user"]["email"] is None


def test_it_says_within_seconds_that_its_user_was_disabled(visit: Visit, hosted: LocalServer) -> None:
    page, token = at_account(visit), admin(hosted)
    page.click("#end-all")
    page.shows("dialog")
    status, _ = hosted.call("PATCH", f"/users/{user_id(hosted, token)}", {"disabled": True}, token)
    assert status == 200
    is_over(page, "disabled")


def test_signing_out_ends_the_session_though_its_cookie_is_gone(visit: Visit, hosted: LocalServer) -> None:
    page, token = at_account(visit), admin(hosted)
    path = f"/users/{user_id(hosted, token)}/sessions"
    assert len(hosted.call("GET", path, token=token)[1]["sessions"]) == 1
    page.cdp("Network.clearBrowserCookies")
    page.click("[data-action=sign-out]")
    page.is_at("/sign-in")
    assert hosted.call("GET", path, token=token)[1]["sessions"] == []


def test_what_happens_in_another_tab_is_said(visit: Visit, hosted: LocalServer) -> None:
    first = at_account(visit)
    # Who has a session here is let in without a word.
    second = visit("/account?x=y")
    second.shows("#sessions [data-session]")
    second.click("[data-action=sign-out]")
    second.is_at("/sign-in")
    is_over(first, "signed_out")
    second.sign_in(USERNAME, PASSWORD)
    second.is_at("/account")
    third = visit("/sign-in")
    third.is_at("/account")
    third.click("[data-action=sign-out]")
    third.is_at("/sign-in")
    is_over(second, "signed_out")
    second.click("main .button")
    second.is_at("/sign-in")
    third.sign_in(USERNAME, PASSWORD)
    second.is_at("/account")
    # As somebody else, whom the page shows only when it is told to.
    body = {"username": "admin", "password": hosted.admin_password(), "cookie": True}
    third.run("new BroadcastChannel('watchword').postMessage(arguments[0])",
              {"kind": "signed-in", "subject": "other", "username": HOSTILE})  # fmt: skip
    is_over(second, "other_user")
    assert "U+202E<img src=x" in second.content()
    third.run(
        "return fetch('/login', {method: 'POST', headers: {'Content-Type': 'application/json'},"
        " body: JSON.stringify(arguments[0])})", body,
    )  # fmt: skip
    second.click("main .actions button")
    second.until(lambda: second.content("#username") == "admin", "it goes on as the admin")
    second.browser.complaints()


def test_a_lost_network_is_said_and_so_is_its_return(visit: Visit) -> None:
    page = at_account(visit)
    page.offline(lost=True)
    for _ in range(2):
        page.run(LOOK_NOW)
    page.shows("#notices .notice")
    page.offline(lost=False)
    page.run(LOOK_NOW)
    page.until(lambda: not page.sees("#notices .notice"), "it is connected again")
    assert page.sees("#sessions")


def test_a_link_sets_a_new_password_once_and_its_token_is_not_kept(visit: Visit, hosted: LocalServer) -> None:
    token = admin(hosted)
    reset = hosted.call("POST", f"/users/{user_id(hosted, token)}/password-reset", token=token)[1]["reset_token"]
    page = visit(f"/reset-password#{reset}")
    assert page.path() == "/reset-password"
    assert reset not in page.run(
        "return JSON.stringify([document.documentElement.outerHTML, history.state, {...localStorage}])"
    )
    # Another language begins anew, and yet the link still works.
    page.click("[data-language=de]")
    page.until(lambda: page.run("return document.documentElement.lang") == "de", "it is in German")
    assert page.path() == "/reset-password"
    page.send("#reset-password", new_password="short")
    page.shows("#new_password-error")
    assert "15 Zeichen" in page.content("#new_password-error")
    page.send("#reset-password", new_password=NEW_PASSWORD)
    page.until(lambda: not page.sees("#reset-password"), "it is set")
    assert hosted.log_in(USERNAME, NEW_PASSWORD)["token"]
    page.go("about:blank")
    page.visit(f"/reset-password#{reset}")
    page.send("#reset-password", new_password=PASSWORD)
    page.until(lambda: not page.sees("#reset-password"), "it does not work twice")
    assert hosted.log_in(USERNAME, NEW_PASSWORD)["token"]


def test_devices_are_told_in_words(visit: Visit) -> None:
    webkit = "AppleWebKit/537.36 (KHTML, like Gecko)"
    agents = {
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0": "Firefox on Linux",
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {webkit} Chrome/130.0 Safari/537.36 Edg/130.0": "Edge on Windows",
        f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) {webkit} Version/18.0 Mobile/1 Safari/604.1":
        "Safari on iPhone",
        f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {webkit} Version/18.0 Safari/605.1.15": "Safari on macOS",
        f"Mozilla/5.0 (Linux; Android 10; K) {webkit} Chrome/130.0 Mobile Safari/537.36": "Chrome on Android",
        "curl/8.5.0": "curl",
        "python-requests/2.32.3": "python-requests",
        "\u202e<b>evil</b>": "U+202E<b>evil</b>",
        "": "Unknown device",
    }  # fmt: skip
    page = at_account(visit)
    assert dict(zip(agents, page.run_async(DEVICES, list(agents)), strict=True)) == agents


@pytest.mark.parametrize("path", ["/account", "/account?x=y"])
def test_without_a_session_it_leads_to_the_sign_in_page_and_back(visit: Visit, path: str) -> None:
    page = visit()
    page.go(path)
    page.is_at("/sign-in")
    page.sign_in(USERNAME, PASSWORD)
    page.until(lambda: page.path() == path, f"it is back at {path}")
    page.shows("#sessions [data-session]")


def test_the_keyboard_goes_on_where_it_was(visit: Visit, hosted: LocalServer) -> None:
    from tests.browser.hosted import ENTER, ESCAPE  # noqa: PLC0415 - needs selenium

    hosted.log_in(USERNAME, PASSWORD)
    page = at_account(visit)
    page.shows("#end-others")
    page.run("document.getElementById('end-all').focus()")
    page.type(ENTER)
    page.shows("dialog")
    page.type(ESCAPE)
    page.until(lambda: not page.sees("dialog"), "the dialog is closed")
    assert page.focused() == "end-all"
    page.run("document.getElementById('end-others').focus()")
    page.type(ENTER)
    page.until(lambda: not page.sees("#end-others"), "there are no others")
    page.until(lambda: page.focused() == "sessions-title", "it goes on at the title")


def test_an_answer_of_somebody_else_is_as_none(visit: Visit) -> None:
    """As of a hotel's network, which says 200 to everything until one has paid."""
    page = at_account(visit)
    page.run(
        "window.answers = fetch; window.fetch = async (...asked) => {"
        " await answers(...asked); return new Response('<h1>Welcome to the hotel</h1>'); }"
    )
    for _ in range(2):
        page.run(LOOK_NOW)
    page.shows("#notices .notice")
    page.run("window.fetch = answers")
    page.until(lambda: not page.sees("#notices .notice"), "it is connected again")
