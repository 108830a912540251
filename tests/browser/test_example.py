"""The browser example, in a browser, against the server."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.scene import COOKIE, DEVICE_COOKIE, PASSWORD, USERNAME, Start, with_customer
from tests.browser.site import Site
from tests.in_process import LocalServer, run

if TYPE_CHECKING:
    from tests.browser.chromium import Browser, Page

ROUNDS = 20
RENEWED = ["POST /refresh: 200", "GET /me: 200"]

# What a script of the page could find: all storage, and the page itself.
LOOK_EVERYWHERE = """
const done = arguments[arguments.length - 1];
(async () => done({
  local: {...localStorage}, session: {...sessionStorage}, cookie: document.cookie,
  databases: await indexedDB.databases(), caches: await caches.keys(), globals: Object.keys(window).filter(
    (name) => typeof window[name] === "string" && /^(eyJ|wwr_)/.test(window[name])),
  fields: [...document.querySelectorAll("input")].map((field) => field.value).join(""),
  page: document.documentElement.outerHTML + location.href,
}))();
"""

POST = """
const [url, mode, done] = arguments;
fetch(url, {method: "POST", credentials: "include", mode}).then(
  (answer) => done(`${answer.type} ${answer.status}`), () => done("no answer"));
"""

RENEW_OVER_AND_OVER = """
const [times] = arguments;
const button = document.getElementById("renew");
window.renewals = [];
const renew = () => new Promise((done) => {
  new MutationObserver((_, observer) => {
    if (button.disabled) return;
    observer.disconnect();
    window.renewals.push(document.getElementById("error").textContent);
    done();
  }).observe(button, {attributes: true});
  button.click();
});
(async () => { for (let round = 0; round < times; round++) await renew(); })();
"""


def logged_in(browser: Browser, site: Site, host: str = "127.0.0.1") -> Page:
    page = browser.open(site.origin(host))
    page.log_in(USERNAME, PASSWORD)
    return page


def cookie_values(browser: Browser) -> list[str]:
    return [cookie["value"] for cookie in browser.cookies() if cookie["name"] == COOKIE]


def has_ended(page: Page) -> bool:
    """Whether RENEW_OVER_AND_OVER has come to its end there."""
    return len(page.run("return window.renewals")) == ROUNDS


def refused(page: Page, server: LocalServer, token: str) -> None:
    """Wait until the server does not take that access token any more."""
    page.until(lambda: server.call("GET", "/me", token=token)[0] == 401, "the server refuses the token")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_login_keeps_the_refresh_token_where_no_script_can_read_it(
    browser: Browser, site: Site, server: LocalServer, host: str
) -> None:
    page = logged_in(browser, site, host)
    assert page.call("/me")["user"]["username"] == USERNAME
    assert page.requests() == ["POST /refresh: 401", "POST /login: 200", "GET /me: 200", "GET /me: 200"]

    # Beside the refresh token there is the device cookie.
    cookies = {cookie["name"]: cookie for cookie in browser.cookies()}
    assert cookies.keys() == {COOKIE, DEVICE_COOKIE}
    for cookie in cookies.values():
        assert (cookie["domain"], cookie["path"]) == (host, "/")
        assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Strict")
    cookie = cookies[COOKIE]
    [login] = browser.exchanges("POST", "/login")
    assert login.set_cookie.startswith(f"{COOKIE}={cookie['value']};")
    assert "domain" not in login.set_cookie.lower()

    found = page.run_async(LOOK_EVERYWHERE)
    shown = found.pop("page")
    assert not any(found.values()), found
    for secret in (PASSWORD, cookie["value"], "eyJ"):
        assert secret not in shown


def test_a_reload_keeps_the_user_logged_in(browser: Browser, site: Site, server: LocalServer) -> None:
    page = logged_in(browser, site)
    before = cookie_values(browser)
    page.reload()
    page.shows("account")
    assert page.text("shown-username") == USERNAME
    assert page.requests() == RENEWED
    assert cookie_values(browser) != before
    assert len(page.call("/me/sessions")["sessions"]) == 1


def test_a_call_with_an_expired_token_succeeds_after_one_refresh(browser: Browser, site: Site, start: Start) -> None:
    server = with_customer(start(WATCHWORD__TOKENS__ACCESS_TTL_SECONDS="3"))
    page = logged_in(browser, site)
    # Issued after the page's token, so it is refused no earlier.
    refused(page, server, server.log_in(USERNAME, PASSWORD)["token"])
    before = page.requests()
    assert page.call("/me")["user"]["username"] == USERNAME
    assert page.requests() == [*before, "GET /me: 401", *RENEWED, "GET /me: 200"]


def test_a_call_after_the_role_was_changed_by_a_command_succeeds_after_one_refresh(
    browser: Browser, site: Site, server: LocalServer, tmp_path: Path
) -> None:
    page = logged_in(browser, site)
    token = server.log_in(USERNAME, PASSWORD)["token"]
    changed = run(tmp_path / "server", "users", "set-role", USERNAME, "admin")
    assert changed.returncode == 0, changed.stderr
    refused(page, server, token)
    before = page.requests()
    assert {user["username"] for user in page.call("/users")["users"]} == {"admin", USERNAME}
    assert page.requests() == [*before, "GET /users: 401", *RENEWED, "GET /users: 200"]
    assert page.text("role") == "admin"


def test_two_tabs_that_refresh_with_the_same_cookie_at_once_stay_logged_in(
    browser: Browser, site: Site, server: LocalServer
) -> None:
    tabs = [logged_in(browser, site), browser.open(site.origin())]
    tabs[1].shows("account")
    for _ in range(ROUNDS):
        refresh_at_once(browser, server, tabs)
    assert [len(tab.call("/me/sessions")["sessions"]) for tab in tabs] == [1, 1]


def refresh_at_once(browser: Browser, server: LocalServer, tabs: list[Page]) -> None:
    """Both requests are sent before the first one can be answered."""
    before = cookie_values(browser)
    so_far = len(browser.exchanges("POST", "/refresh"))

    def both_sent() -> bool:
        new = browser.exchanges("POST", "/refresh")[so_far:]
        return len(new) == 2 and all(exchange.cookies is not None for exchange in new)

    with server.halted():
        for tab in tabs:
            tab.press("renew")
        tabs[0].until(both_sent, "both tabs have asked")
    for tab in tabs:
        tab.has_renewed()
    tabs[0].until(lambda: all(seen.status for seen in browser.exchanges("POST", "/refresh")), "both were answered")
    new = browser.exchanges("POST", "/refresh")[so_far:]
    [after] = cookie_values(browser)
    assert [exchange.cookies for exchange in new] == [before, before]
    assert [exchange.status for exchange in new] == [200, 200]
    assert all(exchange.set_cookie.startswith(f"{COOKIE}={after};") for exchange in new)
    assert [after] != before


def test_two_tabs_that_refresh_over_and_over_stay_logged_in(browser: Browser, site: Site, server: LocalServer) -> None:
    tabs = [logged_in(browser, site), browser.open(site.origin())]
    tabs[1].shows("account")
    for tab in tabs:
        tab.run(RENEW_OVER_AND_OVER, ROUNDS)
    for tab in tabs:
        tab.until(partial(has_ended, tab), "all renewals are over")
    assert [tab.run("return window.renewals") for tab in tabs] == [[""] * ROUNDS] * 2
    assert [len(tab.call("/me/sessions")["sessions"]) for tab in tabs] == [1, 1]


def test_the_page_goes_on_after_the_server_was_restarted(browser: Browser, site: Site, start: Start) -> None:
    server = with_customer(start())
    stayed, reloaded = logged_in(browser, site), browser.open(site.origin())
    reloaded.shows("account")
    server.stop()

    stayed.begin_call("/me")
    stayed.until(lambda: "No answer from" in stayed.text("error"), "it says that there is no answer")
    assert stayed.view() == "account"
    reloaded.reload()
    reloaded.shows("offline")

    start(WATCHWORD__SERVER__PORT=str(site.api_port))
    # The access token of before is still good: the key that signed it is in the store.
    before = stayed.requests()
    assert stayed.call("/me")["user"]["username"] == USERNAME
    assert stayed.requests() == [*before, "GET /me: 200"]
    reloaded.press("again")
    reloaded.shows("account")
    reloaded.reload()
    reloaded.shows("account")
    assert len(reloaded.call("/me/sessions")["sessions"]) == 1


def test_a_page_that_is_left_while_it_refreshes_still_gets_the_new_cookie(
    browser: Browser, site: Site, server: LocalServer
) -> None:
    page = logged_in(browser, site)
    before, refreshes = cookie_values(browser), server.log().count('"/refresh"')
    page.slow_down(2000)
    page.press("renew")
    page.until(lambda: server.log().count('"/refresh"') > refreshes, "the server has answered")
    assert cookie_values(browser) == before
    page.go("about:blank")
    page.until(lambda: cookie_values(browser) != before, "the answer has reached the browser")
    page.slow_down(0)
    page.go(site.origin())
    page.shows("account")


def test_a_logout_ends_the_session_and_takes_the_cookie_away(browser: Browser, site: Site, server: LocalServer) -> None:
    page = logged_in(browser, site)
    token = server.log_in(USERNAME, PASSWORD)["token"]
    assert len(server.call("GET", "/me/sessions", token=token)[1]["sessions"]) == 2
    page.press("logout")
    page.shows("login")
    assert page.text("news") == "You are logged out."
    assert [cookie["name"] for cookie in browser.cookies()] == [DEVICE_COOKIE]
    assert len(server.call("GET", "/me/sessions", token=token)[1]["sessions"]) == 1
    page.reload()
    page.shows("login")
    assert page.requests() == ["POST /refresh: 401"]
    assert page.text("error") == ""


def test_a_logout_in_one_tab_shows_in_the_other_at_its_next_call(
    browser: Browser, site: Site, server: LocalServer
) -> None:
    tabs = [logged_in(browser, site), browser.open(site.origin())]
    tabs[1].shows("account")
    tabs[0].press("logout")
    tabs[0].shows("login")
    tabs[1].begin_call("/me")
    tabs[1].shows("login")
    assert tabs[1].requests()[-2:] == ["GET /me: 401", "POST /refresh: 401"]
    assert tabs[1].text("error") == "Your session is over. Please log in again."


def test_a_page_of_an_origin_that_is_not_allowed_cannot_use_the_cookie(
    browser: Browser, site: Site, server: LocalServer, other_site: Site
) -> None:
    page = logged_in(browser, site)
    before = cookie_values(browser)
    # The example itself, from the wrong place: all it can tell is that there was no answer.
    foreign = browser.open(other_site.origin())
    foreign.shows("offline")
    assert other_site.origin() in foreign.text("error")
    for path in ("/refresh", "/logout"):
        assert foreign.run_async(POST, server.address + path, "cors") == "no answer"
        # A page that does not want to read the answer needs nobody's leave to send the request.
        assert foreign.run_async(POST, server.address + path, "no-cors") == "opaque 0"

    # Same host, so it is the same site and SameSite lets the cookie go along: the refusal is the server's own.
    sent = [found for found in browser.exchanges("POST", "/refresh") if found.cookies]
    sent += browser.exchanges("POST", "/logout")
    assert [(found.cookies, found.status, found.set_cookie) for found in sent] == [(before, 403, "")] * 5
    assert cookie_values(browser) == before
    page.reload()
    page.shows("account")
    assert len(page.call("/me/sessions")["sessions"]) == 1
