"""The page at /docs: calls are tried from it, against its own server, and nothing of that stays behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.inspector import strays
from tests.browser.scene import PASSWORD, USERNAME
from tests.browser.test_inspect_page import LOOK_EVERYWHERE
from tests.in_process import LocalServer

if TYPE_CHECKING:
    from tests.browser.chromium import Browser, Exchange, Page

EVIL = "<img src=x onerror='window.owned = 1'>\u202e<script>window.owned = 2</script>"
TOKENS_IN_IT = "return document.documentElement.outerHTML.match(/eyJ|wwr_/g).length"
SHOW = """
const [status, headers, body, done] = arguments;
const place = document.querySelector("#get-me .answer");
import(document.querySelector("link[href$='/docs-answer.js']").href).then(({showAnswer}) => {
  showAnswer(place, new Response(body, {status, headers}), body);
  place.querySelector("details").open = true;
  done(place.innerText);
});
"""


class Docs:
    """The page, as its user sees it. A route is named by its anchor, such as `get-users`."""

    def __init__(self, browser: Browser, page: Page) -> None:
        self.browser = browser
        self.page = page
        page.until(lambda: page.run("return !document.getElementById('account').hidden"), "its script runs")

    def open(self, route: str) -> None:
        self.page.run("document.querySelector(`#${arguments[0]} > summary`).click()", route)
        self.page.until(
            lambda: self.page.run("return !!document.querySelector(arguments[0])", f"#{route} form"), "a form"
        )

    def fill(self, selector: str, value: str) -> None:
        self.page.run("document.querySelector(arguments[0]).value = arguments[1]", selector, value)

    def send(self, route: str) -> None:
        self.page.run("document.querySelector(`#${arguments[0]} .try [type=submit]`).click()", route)

    def answered(self, route: str, status: int) -> Any:
        """Wait for that status; the body, as JSON if it is any."""
        self.page.until(lambda: self._shown(route, "h5").startswith(f"{status} "), f"{route} is answered with {status}")
        body = self._shown(route, "pre code")
        return json.loads(body) if body else None

    def _shown(self, route: str, part: str) -> str:
        text: str = self.page.run(
            "return document.querySelector(arguments[0])?.textContent ?? ''", f"#{route} .answer {part}"
        )
        return text

    def sign_in(self, username: str, password: str) -> None:
        """In the dialog that is open, or is about to open."""
        self.page.until(lambda: self.dialog() == "Sign in", "it asks who is calling")
        self.fill("#try-username", username)
        self.fill("#try-password", password)
        self.page.run("document.querySelector('dialog [type=submit]').click()")

    def type(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains  # noqa: PLC0415 - `programs` has looked for it

        ActionChains(self.browser.driver).send_keys(*keys).perform()

    def dialog(self) -> str:
        """The title of the dialog that is open."""
        title: str = self.page.run("return document.querySelector('dialog[open] h2')?.textContent ?? ''")
        return title

    def choose(self, label: str) -> None:
        """A button of the dialog."""
        self.page.run(
            "[...document.querySelectorAll('dialog button')].find((b) => b.textContent === arguments[0]).click()", label
        )
        self.page.until(lambda: self.dialog() == "", "the dialog goes away")

    def sent(self, method: str, path: str) -> list[Exchange]:
        return self.browser.exchanges(method, path)


@pytest.fixture
def docs(browser: Browser, server: LocalServer) -> Iterator[Docs]:
    """The page of a running server. Whatever a test does there: no policy is violated, and nobody else is asked."""
    yield Docs(browser, browser.open(f"{server.address}/docs"))
    refused = [line for line in browser.complaints() if "Failed to load resource" not in line]
    assert refused == []
    # Of a request that outlives its page, the browser tells no address.
    assert strays(browser, server) <= {""}


def test_a_call_is_tried_and_the_token_stays_in_the_memory_of_the_page(docs: Docs, server: LocalServer) -> None:
    examples = docs.page.run(TOKENS_IN_IT)
    docs.open("get-users")
    docs.fill("#get-users-q", USERNAME)
    docs.send("get-users")
    docs.sign_in("admin", "wrong")
    docs.page.until(lambda: "wrong" in docs.page.run("return document.querySelector('dialog').innerText"), "it says so")
    docs.sign_in("admin", server.admin_password())
    [user] = docs.answered("get-users", 200)["users"]
    assert user["username"] == USERNAME
    assert docs.page.text("who") == "Signed in as admin, admin."
    found = docs.page.run_async(LOOK_EVERYWHERE)
    assert not any(found.values()), found
    assert docs.page.run(TOKENS_IN_IT) == examples

    body = {"username": "evil", "name": EVIL, "role": "customer", "password": PASSWORD}
    docs.open("post-users")
    docs.fill("#post-users-body", json.dumps(body))
    docs.send("post-users")
    made = docs.answered("post-users", 201)["user"]
    # What can't be seen is shown by its number.
    assert made["name"] == EVIL.replace("\u202e", "U+202E")
    assert docs.page.run("return [window.owned, document.querySelectorAll('.answer img, .answer script').length]") == [
        None, 0
    ]  # fmt: skip

    route = "delete-users-user_id"
    docs.open(route)
    docs.send(route)
    assert docs.page.run("return document.activeElement.id") == f"{route}-user_id", "what is missing is asked for"
    docs.fill(f"#{route}-user_id", made["id"])
    docs.send(route)
    docs.page.until(lambda: docs.dialog() == "Send DELETE?", "it asks first")
    docs.choose("Cancel")
    assert docs.sent("DELETE", f"/users/{made['id']}") == []
    docs.send(route)
    docs.page.until(lambda: docs.dialog() == "Send DELETE?", "it asks first")
    docs.choose("Send")
    assert docs.answered(route, 204) is None
    assert all(not exchange.cookies for exchange in docs.browser.all_exchanges())


def test_whoever_leaves_is_signed_out(docs: Docs, server: LocalServer) -> None:
    from tests.browser.hosted import ENTER, TAB  # noqa: PLC0415 - needs selenium

    # With nothing but the keyboard.
    docs.page.run("document.getElementById('sign-in').focus()")
    docs.type(ENTER)
    docs.page.until(
        lambda: docs.page.run("return document.activeElement.id") == "try-username", "the dialog has the focus"
    )
    docs.type(USERNAME, TAB, PASSWORD, ENTER)
    docs.page.until(lambda: "Signed in" in docs.page.text("who"), "it is said who calls")
    assert docs.page.run("return document.activeElement.id") == "sign-in", "it goes on where it was"
    docs.open("get-me-sessions")
    docs.send("get-me-sessions")
    assert len(docs.answered("get-me-sessions", 200)["sessions"]) == 1
    docs.page.run("const now = Date.now; Date.now = () => now() + 3_600_000")
    docs.send("get-me-sessions")
    docs.page.until(lambda: docs.sent("POST", "/refresh"), "a token that has expired is renewed")
    docs.page.until(lambda: len(docs.sent("GET", "/me/sessions")) == 2, "the call is sent with the new one")
    docs.answered("get-me-sessions", 200)
    docs.page.go(f"{server.address}/inspect")
    token = server.log_in(USERNAME, PASSWORD)["token"]
    docs.page.until(
        lambda: len(server.call("GET", "/me/sessions", token=token)[1]["sessions"]) == 1, "the other session is over"
    )
    docs.page.run("history.back()")
    docs.page.until(lambda: docs.page.run("return location.pathname") == "/docs", "it goes back")
    docs.page.until(lambda: docs.page.text("who") == "You are not signed in.", "the page has forgotten")


def test_whatever_is_answered_is_shown_as_it_is(docs: Docs) -> None:
    def shown(status: int, content_type: str, body: str) -> str:
        text: str = docs.page.run_async(SHOW, status, {"Content-Type": content_type, "X-Odd": "a\u00adb"}, body)
        return text

    docs.open("get-me")
    text = shown(200, "application/json", '{"big": 12345678901234567890123, "name": "\\u202e<b>"}')
    assert text.startswith("200\n")
    assert '"big": 12345678901234567890123' in text
    assert '"name": "U+202E<b>"' in text
    assert "aU+00ADb" in text
    for content_type in ("text/html", "application/json"):
        assert "<b>not JSON" in shown(200, content_type, "<b>not JSON")
    assert "Sign in again" in shown(401, "application/problem+json", '{"code": "reauthentication_required"}')
    assert "Show all 30000 characters" in shown(200, "text/plain", "y" * 30_000)
    docs.page.run("[...document.querySelectorAll('.answer button')].at(-1).click()")
    assert docs.page.run("return document.querySelector('.answer pre').textContent.length") == 30_000


def test_an_address_with_a_route_opens_it(docs: Docs, server: LocalServer) -> None:
    docs.page.go(f"{server.address}/docs?#post-me-password")
    docs.page.until(
        lambda: docs.page.run("return document.querySelector('#post-me-password form') !== null"), "it is open"
    )
    assert docs.page.run("return document.querySelectorAll('.route[open]').length") == 1
    curl = docs.page.run("return document.querySelector('#post-me-password .curl').textContent")
    assert f"{server.address}/me/password" in curl
    docs.page.run("location.hash = '#overloaded'")
    docs.page.until(lambda: docs.page.run("return document.getElementById('overloaded').open"), "the problem is opened")


def test_whatever_is_opened_fits_a_narrow_screen(docs: Docs) -> None:
    docs.page.run("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    docs.page.until(
        lambda: docs.page.run("return document.querySelectorAll('.try:empty').length") == 0, "all forms are there"
    )
    for width in (320, 1280):
        size = {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": False}
        docs.browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        fits = "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        assert docs.page.run(fits), width
