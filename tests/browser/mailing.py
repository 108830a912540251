"""A server that sends mail, and what people do with the mails of it."""

from __future__ import annotations

import contextlib
import itertools
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser.scene import with_customer
from tests.in_process import LocalServer, serving
from tests.listening import free_port
from tests.mail.mail_server import MailServer, Received, mail_server

if TYPE_CHECKING:
    from tests.browser.chromium import Browser, Chromium
    from tests.browser.hosted import Hosted


@dataclass(frozen=True, slots=True)
class Mailing:
    """The server, and where its mails arrive."""

    server: LocalServer
    mails: MailServer
    store: Path

    def mail(self, recipient: str, path: str, number: int = 1) -> Received:
        """The mail with that number whose link leads to this path of the pages, once it is there."""
        for total in itertools.count(number):
            came = self.mails.wait_for_all(recipient, total)
            found = [mail for mail in came if f"{self.server.address}{path}" in mail.text]
            if len(found) >= number:
                return found[number - 1]
        raise AssertionError


@contextlib.contextmanager
def mailing(folder: Path) -> Iterator[Mailing]:
    """Anybody may sign up, and signs in by mail too. There is the customer, who has no address."""
    with (
        mail_server() as mails,
        serving(
            folder,
            # A mail names the port, so it has to be known.
            WATCHWORD__SERVER__PORT=str(free_port()),
            WATCHWORD__REGISTRATION__MODE="open",
            WATCHWORD__MAIL__URL=mails.url,
            WATCHWORD__MAIL__FROM="auth@example.com",
            WATCHWORD__MAIL__SIGN_IN_CODES="true",
        ) as server,
    ):
        yield Mailing(with_customer(server), mails, folder / "data" / "watchword.db")


def presses(page: Hosted, link: str, form: str) -> None:
    """Open a link of a mail, and press the only button."""
    page.visit(link)
    page.click(f"{form} button[type=submit]")


def scan(chromium: Chromium, origin: str, link: str, form: str) -> None:
    """What programs do that look at links in mails: GET, HEAD, and a browser of their own that presses the button."""
    from tests.browser.hosted import Hosted, Screen  # noqa: PLC0415 - needs selenium, as `chromium` does

    for method in ("GET", "HEAD"):
        request = urllib.request.Request(link, method=method)  # noqa: S310 - http
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            assert answer.status == 200
    with chromium.profile() as browser:
        page = Hosted(browser, origin, Screen())
        presses(page, link, form)
        page.shows(".code-needed")
        assert page.focused() == "code"


@contextlib.contextmanager
def elsewhere(chromium: Chromium, origin: str, width: int = 360) -> Iterator[Hosted]:
    """A tab of another browser, as on the phone on which the mail is read."""
    from tests.browser.hosted import Hosted, Screen  # noqa: PLC0415 - needs selenium, as `chromium` does

    with chromium.profile() as browser:
        yield Hosted(browser, origin, Screen(width))


def tab(browser: Browser, origin: str, language: str = "en") -> Hosted:
    """A tab of the browser that asks for mails."""
    from tests.browser.hosted import Hosted, Screen  # noqa: PLC0415 - needs selenium, as `browser` does

    return Hosted(browser, origin, Screen(language=language))
