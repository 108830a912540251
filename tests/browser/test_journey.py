"""From the first start of a server to a user whom an admin disables, in a browser, by two people."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.process.server_process import serving

if TYPE_CHECKING:
    from tests.browser.chromium import Chromium
    from tests.browser.hosted import Hosted

FIRST, SECOND = "quiet herons fold maps", "velvet comets sort pebbles"
DISABLE = "#view > .actions button:nth-of-type(2)"
ROWS = "return document.querySelectorAll('#view tbody tr').length"


def by_keys(page: Hosted, username: str, password: str) -> None:
    """Sign in with nothing but the keyboard."""
    from tests.browser.hosted import ENTER, TAB  # noqa: PLC0415 - needs selenium

    page.is_at("/sign-in")
    assert page.focused() == "username"
    page.type(username, TAB, password, ENTER)
    page.is_at("/account")


def sessions(page: Hosted) -> int:
    count: int = page.run("return document.querySelectorAll('#sessions [data-session]').length")
    return count


def is_over(page: Hosted, kind: str) -> None:
    page.until(lambda: page.run("return document.getElementById('main').dataset.over") == kind, f"it is over: {kind}")


def invited(admin: Hosted) -> str:
    """The link of a new invitation, as the admin hands it over."""
    admin.visit("/console#invitations/new")
    admin.click("#view form button[type=submit]")
    admin.shows("#view .secret input")
    link: str = admin.run("return document.querySelector('#view .secret input').value")
    return link


@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("de", 360)])
def test_from_the_first_start_to_a_user_who_is_disabled(
    chromium: Chromium, tmp_path: Path, language: str, width: int
) -> None:
    from tests.browser.hosted import Hosted, Screen  # noqa: PLC0415 - needs selenium, as `chromium` does

    screen = Screen(width, language)
    with (
        serving(tmp_path, WATCHWORD__REGISTRATION__MODE="invitation") as server,
        chromium.browser() as browser,
        chromium.profile() as other_browser,
        chromium.profile() as third_browser,
    ):
        address = re.search(r"Sign in at (\S+)", server.banner)
        assert address
        assert address[1] == f"{server.address}/sign-in"
        admin = Hosted(browser, server.address, screen)
        admin.go("/")
        by_keys(admin, "admin", server.admin_password())
        assert admin.run("return document.documentElement.lang") == language
        link = invited(admin)

        ada = Hosted(other_browser, server.address, screen)
        ada.go("/account")
        ada.is_at("/sign-in")
        ada.visit(link)
        # The token stands neither in the address bar nor in the history.
        assert ada.path() == "/invitation"
        ada.send("#invitation", name="Ada Lovelace", username="ada", password=FIRST)
        ada.is_at("/account")
        ada.click("[data-action=sign-out]")
        by_keys(ada, "ada", FIRST)

        ada.click("#password-change summary")
        ada.send("#password-form", current_password=FIRST, new_password=SECOND)
        ada.shows("#password-done")
        elsewhere = Hosted(third_browser, server.address, screen)
        elsewhere.go("/account")
        by_keys(elsewhere, "ada", SECOND)
        ada.go("/account")
        ada.is_at("/account")
        ada.until(lambda: sessions(ada) == 2, "both sessions are there")
        assert ada.too_wide() == []
        ada.click("#sessions button[data-action=end]")
        is_over(elsewhere, "ended")
        ada.until(lambda: sessions(ada) == 1, "one is left")

        for event in ("sessions_ended", "password_changed", "invitation_used"):
            admin.visit(f"/console#audit?event={event}")
            admin.until(lambda: admin.run(ROWS) == 1, f"the audit log has {event}")
            assert "ada" in admin.content("#view tbody")
        assert admin.too_wide() == []
        admin.visit("/console#users?q=ada")
        admin.click("#view td a, #view th a")
        admin.click(DISABLE)
        admin.click("dialog .danger")
        is_over(ada, "disabled")
        ada.click("main .button")
        ada.is_at("/sign-in")
        ada.send("#sign-in", username="ada", password=SECOND)
        ada.shows("#sign-in [role=alert]")
        # Whatever both did: no script failed, and no policy was violated.
        assert browser.defects() == []
        assert server.stop() == 0
