"""The page at /console, as an admin sees it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tests.in_process import LocalServer

if TYPE_CHECKING:
    from selenium.webdriver.remote.webelement import WebElement

    from tests.browser.chromium import Browser, Chromium, Page

# As WebDriver sends this key.
ENTER = "\ue007"
SIGN_IN = """
const [username, password, done] = arguments;
fetch("/login", {method: "POST", headers: {"Content-Type": "application/json"},
  body: JSON.stringify({username, password, cookie: true})}).then((answer) => done(answer.status));
"""
# A link or a button that is seen, by its text; in the dialog, if one is open.
NAMED = """
const dialog = document.querySelector("dialog[open]");
const parts = dialog ? [dialog] : [document.getElementById("views"), document.getElementById("view")];
return parts.flatMap((part) => [...part.querySelectorAll("a, button, summary")]).find((element) =>
  element.checkVisibility() && !element.disabled && element.textContent.trim() === arguments[0]);
"""


class Console:
    """One tab. Buttons and links are named by what stands on them, fields by their label."""

    def __init__(self, browser: Browser, server: LocalServer, page: Page) -> None:
        self.browser = browser
        self.server = server
        self.page = page
        self.clicks = 0

    def shows(self, title: str) -> None:
        """Wait for the view with this title, and for all that it asks the server."""
        self.page.until(lambda: self.title() == title and self.idle(), f"it shows {title!r}, not {self.title()!r}")

    def title(self) -> str:
        found: str = self.page.run("return document.querySelector('h1').innerText")
        return found

    def idle(self) -> bool:
        return bool(
            self.page.run(
                "return document.readyState === 'complete' && !document.querySelector('[aria-busy]') && "
                "![...document.querySelectorAll('button')].some((b) => b.textContent === 'One moment…')"
            )
        )

    def go(self, fragment: str, title: str) -> None:
        self.page.run("location.hash = arguments[0]", fragment)
        self.shows(title)

    def click(self, name: str) -> None:
        """As with a mouse: it has to be there, to be seen, and not to be covered."""
        self.page.until(lambda: self.page.run(NAMED, name), f"there is {name!r}")
        element: WebElement = self.page.run(NAMED, name)
        element.click()
        self.clicks += 1

    def field(self, label: str) -> WebElement:
        found: WebElement | None = self.page.run(
            "return [...document.querySelectorAll('label')].find((l) => l.textContent === arguments[0])?.control", label
        )
        assert found is not None, label
        return found

    def fill(self, label: str, text: str) -> None:
        field = self.field(label)
        field.clear()
        field.send_keys(text)

    def choose(self, label: str, text: str) -> None:
        self.page.until(lambda: self._option(label, text), f"{label!r} has {text!r}")
        self._option(label, text).click()

    def _option(self, label: str, text: str) -> WebElement:
        find = "return [...arguments[0].options].find((option) => option.text === arguments[1])"
        return self.page.run(find, self.field(label), text)  # type: ignore[no-any-return]

    def set(self, label: str, value: str) -> None:
        """For fields that take no text from the keyboard, such as times."""
        enter = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))"
        self.page.run(enter, self.field(label), value)

    def value(self, label: str) -> str:
        found: str = self.page.run("return arguments[0].value", self.field(label))
        return found

    def text(self, selector: str = "#view") -> str:
        """What is seen of it."""
        found: str = self.page.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
        return found

    def says(self, text: str, selector: str = "#view") -> None:
        self.page.until(lambda: text in self.text(selector), f"{selector} says {text!r}, not {self.text(selector)!r}")

    def announces(self, text: str) -> None:
        self.page.until(lambda: text in self.page.text("announcer"), f"it announces {text!r}")

    def answers(self, text: str) -> None:
        """Wait until it says so, as news or as what went wrong."""
        self.page.until(lambda: text in self.page.text("announcer") + self.text(".said"), f"it answers {text!r}")

    def rows(self, caption: str) -> list[list[str]]:
        """The cells of a table, as they are told."""
        found: list[list[str]] = self.page.run(
            "const t = [...document.querySelectorAll('table')].find((t) => t.caption.textContent === arguments[0]);"
            "return [...t?.tBodies[0].rows ?? []].map((r) => [...r.cells].map("
            "(c) => c.querySelector('.value').innerText.trim()))",
            caption,
        )
        return found

    def names(self) -> list[str]:
        """The names of the users that are listed."""
        return [row[0].partition("\n")[0] for row in self.rows("Users")]

    def lists(self, *names: str) -> None:
        self.page.until(lambda: self.idle() and self.names() == list(names), f"it lists {names}")

    def type(self, keys: str) -> None:
        """By the keyboard, wherever the focus is."""
        self.focused().send_keys(keys)

    def focused(self) -> WebElement:
        return self.page.run("return document.activeElement")  # type: ignore[no-any-return]

    def asked(self) -> list[str]:
        """What was asked of the server, but not the files of the page."""
        return [
            f"{exchange.method} {exchange.path}"
            for exchange in self.browser.all_exchanges()
            if exchange.url.startswith(self.server.address) and "/assets/" not in exchange.path
        ]

    def cdp(self, command: str, **parameters: object) -> dict[str, Any]:
        found: dict[str, Any] = self.browser.driver.execute_cdp_cmd(command, parameters)
        return found

    def offline(self, value: bool) -> None:
        self.cdp("Network.emulateNetworkConditions", offline=value, latency=0, downloadThroughput=-1,
                 uploadThroughput=-1)  # fmt: skip

    def on_a_screen_of(self, width: int, height: int = 740) -> None:
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def confirm_password(self, password: str) -> None:
        """In the dialog that asks for it."""
        self.page.until(lambda: self.page.run("return !!document.getElementById('confirm-password')"), "it asks")
        self.page.run("return document.getElementById('confirm-password')").send_keys(password + ENTER)
        self.page.until(lambda: not self.page.run("return !!document.querySelector('dialog')"), "it is satisfied")


def signed_in(browser: Browser, server: LocalServer, username: str, password: str) -> Console:
    """A tab in which this user has signed in and opened the console."""
    page = browser.open(f"{server.address}/health/live")
    assert page.run_async(SIGN_IN, username, password) == 200
    page.go(f"{server.address}/console")
    return Console(browser, server, page)


@contextlib.contextmanager
def of_admin(chromium: Chromium, server: LocalServer) -> Iterator[Console]:
    """The console as the first admin finds it, in a browser of its own."""
    with chromium.browser() as browser:
        opened = signed_in(browser, server, "admin", server.admin_password())
        opened.shows("Users")
        yield opened


def users_file(count: int) -> str:
    """Lines for `users import`: user 0 to the last, in this order."""
    return "".join(
        json.dumps({"username": f"user.{number}", "name": f"User {number}", "role": "customer"}) + "\n"
        for number in range(count)
    )
