"""A server that ends and starts again under an open page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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
