"""A server that ends and starts again under an open page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

from server.pages import assets
from tests.browser.scene import PASSWORD, USERNAME, with_customer
from tests.in_process import serving
from tests.listening import free_port

if TYPE_CHECKING:
    from tests.browser.chromium import Chromium


def test_a_page_says_that_the_server_is_away_and_goes_on_with_the_session(chromium: Chromium, tmp_path: Path) -> None:
    from tests.browser.hosted import Hosted, Screen  # noqa: PLC0415 - needs selenium, as `chromium` does

    settings = {"WATCHWORD__SERVER__PORT": str(free_port())}
    with chromium.browser() as browser:
        with serving(tmp_path, **settings) as server:
            with_customer(server)
            page = Hosted(browser, server.address, Screen())
            page.visit("/sign-in")
            page.sign_in(USERNAME, PASSWORD)
            page.is_at("/account")
        page.shows("#notices .notice")
        # What is typed meanwhile stays, and a form says why it is not sent.
        page.send("#profile", name="Lak the Second")
        page.shows("#profile [role=alert]")
        with serving(tmp_path, **settings) as server:
            page.until(lambda: not page.sees("#notices .notice"), "it is connected again")
            page.send("#profile", name="Lak the Second")
            page.until(lambda: not page.sees("#profile [role=alert]"), "it is saved")
            page.go("/account")
            page.is_at("/account")
            assert page.run("return document.getElementById('name').value") == "Lak the Second"
        assert browser.defects() == []


def test_a_page_from_before_an_update_asks_to_be_loaded_again(chromium: Chromium, tmp_path: Path) -> None:
    from tests.browser.hosted import Hosted, Screen  # noqa: PLC0415 - needs selenium, as `chromium` does

    settings = {"WATCHWORD__SERVER__PORT": str(free_port())}
    # What the page loads from now on does not fit to what it has.
    contents = dict(assets._contents())
    contents["dom.js"] += b"export const later = 1;\n"
    contents["console-keys.js"] = b'import { later } from "./dom.js";\n' + contents["console-keys.js"]
    with chromium.browser() as browser:
        with serving(tmp_path, **settings) as server:
            page = Hosted(browser, server.address, Screen())
            page.sign_in("admin", server.admin_password())
            page.is_at("/account")
            page.visit("/console")
        updated = assets.Assets(contents)
        with mock.patch.object(assets.Assets, "load", return_value=updated), serving(tmp_path, **settings):
            page.run("location.hash = 'keys'")
            page.shows("#view [role=alert] button")
            page.until(lambda: not page.sees("#notices .notice"), "it is connected again")
            page.click("#view [role=alert] button")
            page.until(lambda: page.content("h1") == "Keys" and page.sees("#view table"), "it shows the keys")
        assert browser.defects() == []
