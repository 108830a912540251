"""The page at /sign-in, as its user sees it."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.browser.scene import COOKIE, PASSWORD, USERNAME

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.conftest import Visit
    from tests.in_process import LocalServer

TARGET = """
const [search, done] = arguments;
const script = document.querySelector('link[href$="/return-to.js"]').href;
import(script).then(({ returnTarget }) => returnTarget(search)).then(done, (error) => done(`${error}`));
"""
NO_STORAGE = """
Object.defineProperty(window, "localStorage", {get() { throw new DOMException("refused", "SecurityError"); }});
"""
EVIL = [
    "https://evil.example",
    "https://evil.example/account",
    "http://evil.example",
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/%09/evil.example\t",
    "\x00//evil.example",
    "\u00a0//evil.example",
    "\u3000https://evil.example",
    "/.//evil.example\\",
    "https:evil.example",
    "https:/evil.example",
    "https:\\\\evil.example",
    "HtTpS://evil.example",
    "https://127.0.0.1@evil.example",
    "https://127.0.0.1:80@evil.example/",
    "https://evil.example#@127.0.0.1",
    "https://127.0.0.1.evil.example",
    "evil.example",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "\x01javascript:alert(1)",
    "javascript://127.0.0.1/%0aalert(1)",
    "data:text/html,<script>alert(1)</script>",
    "blob:https://evil.example/1",
    "file:///etc/passwd",
    "vbscript:x",
    "null",
    "",
    "/" + "a" * 5000,
    # Back to the sign-in page would go on forever.
    "/sign-in",
]


@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("de", 360)])
def test_the_keyboard_alone_signs_in(visit: Visit, language: str, width: int) -> None:
    from tests.browser.hosted import ENTER, TAB  # noqa: PLC0415 - needs selenium

    page = visit("/sign-in?return_to=/docs", language=language, width=width)
    assert page.run("return document.documentElement.lang") == language
    assert page.too_wide() == []
    # Where one types first, without reaching for anything.
    assert page.focused() == "username"
    page.type(USERNAME, TAB)
    assert page.focused() == "password"
    page.type("not it", ENTER)
    page.shows("#sign-in [role=alert]")
    # The field is ready for another try, and what it had is gone with the first key.
    assert page.focused() == "password"
    page.type(PASSWORD, ENTER)
    page.until(lambda: page.path() == "/docs", "it has gone on")
    (cookie,) = [cookie for cookie in page.browser.cookies() if cookie["name"] == COOKIE]
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Strict")
    assert COOKIE not in page.run("return document.cookie")
    assert PASSWORD not in page.run("return JSON.stringify([{...localStorage}, {...sessionStorage}, history.state])")


def test_password_managers_find_their_fields(visit: Visit) -> None:
    page = visit("/sign-in")
    fields = page.run(
        "return [...document.querySelectorAll('form input')].map((at) => [at.name, at.type, at.autocomplete])"
    )
    assert fields == [["username", "text", "username"], ["password", "password", "current-password"]]
    assert page.run("return document.forms.length") == 1


def test_it_leads_on_to_this_origin_alone(visit: Visit, hosted: LocalServer) -> None:
    page = visit("/sign-in")

    def target(return_to: str) -> str:
        search: str = page.run("return `?${new URLSearchParams({return_to: arguments[0]})}`", return_to)
        found: str = page.run_async(TARGET, search)
        return found.removeprefix(hosted.address)

    assert {text: target(text) for text in EVIL if target(text) != "/account"} == {}
    for path in ("/console", "/account?x=y", "/docs#not_found", "/console?q=%2F%2Fevil.example"):
        assert target(path) == path
        assert target(hosted.address + path) == path
    # Twice is none of the two, or the first one, but never the second one behind its back.
    twice = page.run_async(TARGET, "?return_to=/docs&return_to=https://evil.example")
    assert twice.removeprefix(hosted.address) in {"/docs", "/account"}


def test_who_is_signed_in_is_led_on_at_once_and_never_elsewhere(visit: Visit, hosted: LocalServer) -> None:
    page = visit("/sign-in?return_to=/docs")
    page.sign_in(USERNAME, PASSWORD)
    page.until(lambda: page.path() == "/docs", "it has gone on")
    page.go("/sign-in?return_to=//evil.example/x")
    page.until(lambda: page.path().startswith("/account"), "it has gone on")
    assert page.run("return location.origin") == hosted.address
    assert not [one.url for one in page.browser.all_exchanges() if "evil.example/x" in one.url.partition("?")[0]]


def test_too_many_attempts_are_a_wait_that_counts_down(visit: Visit, hosted: LocalServer, tmp_path: Path) -> None:
    page = visit("/sign-in")
    status, tries = 400, 0
    while status == 400:
        status, _ = hosted.call("POST", "/login", {"username": USERNAME, "password": "not it"})
        tries += 1
        assert tries < 100
    # The first wait may be over before a slow browser has sent anything.
    with contextlib.closing(sqlite3.connect(tmp_path / "hosted" / "data" / "watchword.db")) as store, store:
        store.execute("UPDATE guesses SET retry_at = retry_at + 600000 WHERE retry_at > 0")
    page.send("#sign-in", username=USERNAME, password=PASSWORD)
    page.shows("#sign-in [role=alert]")
    assert page.run("return document.querySelector('#sign-in button[type=submit]').disabled")
    assert any(digit in page.content("#sign-in button[type=submit]") for digit in "0123456789")


def test_a_lost_network_is_said_and_the_form_goes_on_with_it_back(visit: Visit) -> None:
    page = visit("/sign-in?return_to=/docs")
    page.offline(lost=True)
    page.send("#sign-in", username=USERNAME, password=PASSWORD)
    page.shows("#sign-in [role=alert]")
    page.offline(lost=False)
    page.send("#sign-in", username=USERNAME, password=PASSWORD)
    page.until(lambda: page.path() == "/docs", "it has gone on")


def test_a_double_click_signs_in_once(visit: Visit, hosted: LocalServer) -> None:
    page = visit("/sign-in")
    page.fill("#sign-in", username=USERNAME, password=PASSWORD)
    # Also after the answer, while the next page is on its way.
    page.run("setInterval(() => document.querySelector('#sign-in button[type=submit]').click(), 1)")
    page.is_at("/account")
    token = hosted.log_in(USERNAME, PASSWORD)["token"]
    assert len(hosted.call("GET", "/me/sessions", token=token)[1]["sessions"]) == 2


def test_what_a_page_may_do_without_is_not_missed(visit: Visit) -> None:
    """Settings of the pages that don't come, and a browser that keeps nothing, are no failures of scripts."""
    page = visit()
    page.cdp("Network.enable")
    page.cdp("Network.setBlockedURLs", urls=["*/pages/settings*"])
    page.cdp("Page.addScriptToEvaluateOnNewDocument", source=NO_STORAGE)
    page.visit("/reset-password#x")
    page.visit("/sign-in")
    page.sign_in(USERNAME, PASSWORD)
    page.is_at("/account")
    # Who is signed in is led on, although nothing says so but the cookie.
    page.go("/sign-in")
    page.is_at("/account")


def test_without_mail_nothing_offers_it_and_an_admin_helps(visit: Visit) -> None:
    page = visit("/sign-in")
    page.shows("#to-sign-up")
    assert not page.sees("#to-reset, #to-code")
    page.visit("/reset-password")
    page.shows("#state .actions a")
    assert "admin" in page.content()
    assert not page.sees("form")
