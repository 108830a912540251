"""A real Chromium without a window, and tabs in it that show the example, or another page."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from tests.browser.scene import COOKIE

DEADLINE_SECONDS = 30
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_OF_A_REQUEST = ("Network.requestWillBeSent", "Network.responseReceivedExtraInfo", "Network.loadingFinished")


@dataclass(slots=True)
class Exchange:
    """A request as it went over the wire, which is more than a page may see of it."""

    method: str = ""
    url: str = ""
    path: str = ""
    # What was sent as the body, if the browser tells.
    body: str = ""
    # The refresh tokens that went along; None until the request was sent.
    cookies: list[str] | None = None
    status: int = 0
    set_cookie: str = ""
    # What came over the wire, head and body; nothing of what was in the cache.
    received_bytes: int = 0


class Chromium:
    """One process, for as many browsers as tests want one after the other."""

    def __init__(self, binary: str, driver: str, profile: Path, *flags: str) -> None:
        options = Options()
        # Other profiles are made by WebDriver BiDi.
        options.enable_bidi = True
        options.binary_location = binary
        for flag in (*FLAGS, *flags, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        # With both paths given, selenium has no reason to download anything.
        self.driver = webdriver.Chrome(service=Service(driver), options=options)
        self.driver.set_script_timeout(DEADLINE_SECONDS)
        self._first_tab = self.driver.current_window_handle

    @contextlib.contextmanager
    def browser(self) -> Iterator[Browser]:
        """As new: nothing is left of the one before, which has served other origins, if not other hosts."""
        for kind in ("performance", "browser"):
            self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        opened = Browser(self.driver)
        try:
            yield opened
        finally:
            for tab in set(self.driver.window_handles) - {self._first_tab}:
                self.driver.switch_to.window(tab)
                self.driver.close()
            self.driver.switch_to.window(self._first_tab)
            for origin in opened.origins:
                self.driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
            for command in ("Network.clearBrowserCookies", "Network.clearBrowserCache"):
                self.driver.execute_cdp_cmd(command, {})

    @contextlib.contextmanager
    def profile(self) -> Iterator[Browser]:
        """Another profile of the same browser, which shares no cookie and no storage with what is open."""
        context = self.driver.browser.create_user_context()
        try:
            yield Browser(self.driver, context)
        finally:
            self.driver.browser.remove_user_context(context)
            self.driver.switch_to.window(self._first_tab)

    def quit(self) -> None:
        self.driver.quit()


class Browser:
    """A browser with nothing in it."""

    def __init__(self, driver: webdriver.Chrome, profile: str | None = None) -> None:
        self.driver = driver
        self._profile = profile
        self.origins: set[str] = set()
        self._exchanges: dict[tuple[str, str], Exchange] = {}

    def open(self, url: str) -> Page:
        """The page at that address, in a tab of its own."""
        self.open_tab()
        self.go(url)
        return Page(self.driver, self.driver.current_window_handle)

    def go(self, url: str) -> None:
        """Load that address in the tab."""
        parts = urlsplit(url)
        self.origins.add(f"{parts.scheme}://{parts.netloc}")
        self.driver.get(url)

    def open_tab(self) -> None:
        """An empty tab, to which commands go from now on."""
        if self._profile is None:
            self.driver.switch_to.new_window("tab")
        else:
            self.driver.switch_to.window(self.driver.browsing_context.create(type="tab", user_context=self._profile))
        # Only a tab that has the focus may use the clipboard.
        self.driver.execute_cdp_cmd("Page.bringToFront", {})

    def cookies(self) -> list[dict[str, Any]]:
        """All cookies, also those that no script can read."""
        cookies: list[dict[str, Any]] = self.driver.execute_cdp_cmd("Network.getAllCookies", {})["cookies"]
        return cookies

    def exchanges(self, method: str, path: str) -> list[Exchange]:
        """What was sent so far, in all tabs."""
        return [found for found in self.all_exchanges() if (found.method, found.path) == (method, path)]

    def all_exchanges(self) -> list[Exchange]:
        """Whatever was asked for so far, from anywhere; also what never left the browser."""
        for entry in self.driver.get_log("performance"):  # type: ignore[no-untyped-call]
            event = json.loads(entry["message"])
            self._learn(event["webview"], event["message"]["method"], event["message"]["params"])
        return list(self._exchanges.values())

    def complaints(self) -> list[str]:
        """What the console was told since the last time: errors, warnings, violations of a policy."""
        return [str(entry["message"]) for entry in self._told()]

    def defects(self) -> list[str]:
        """The same without hints, and without answers that are failures, which scripts handle."""
        wrong = [entry for entry in self._told() if entry["level"] in {"SEVERE", "WARNING"}]
        return [str(entry["message"]) for entry in wrong if entry["source"] != "network"]

    def _told(self) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return told

    def _learn(self, tab: str, event: str, details: dict[str, Any]) -> None:
        if not event.startswith(_OF_A_REQUEST):
            return
        # The events of one request come in no certain order.
        exchange = self._exchanges.setdefault((tab, details["requestId"]), Exchange())
        if event == "Network.requestWillBeSent":
            exchange.method = details["request"]["method"]
            exchange.url = details["request"]["url"]
            exchange.path = urlsplit(exchange.url).path
            exchange.body = details["request"].get("postData", "")
        elif event == "Network.requestWillBeSentExtraInfo":
            sent = [entry["cookie"] for entry in details["associatedCookies"] if not entry["blockedReasons"]]
            exchange.cookies = [cookie["value"] for cookie in sent if cookie["name"] == COOKIE]
        elif event == "Network.responseReceivedExtraInfo":
            exchange.status = details["statusCode"]
            headers = {name.lower(): value for name, value in details["headers"].items()}
            exchange.set_cookie = headers.get("set-cookie", "")
        elif event == "Network.loadingFinished":
            exchange.received_bytes = int(details["encodedDataLength"])


class Page:
    """One tab with the example, as its user sees it."""

    def __init__(self, driver: webdriver.Chrome, handle: str) -> None:
        self._driver = driver
        self._handle = handle

    def run(self, script: str, *arguments: object) -> Any:
        """What the script returns."""
        self._driver.switch_to.window(self._handle)
        return self._driver.execute_script(script, *arguments)

    def run_async(self, script: str, *arguments: object) -> Any:
        """What the script hands to its last argument."""
        self._driver.switch_to.window(self._handle)
        return self._driver.execute_async_script(script, *arguments)

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until the condition holds; `what` is said if it never does, with what the page shows."""
        try:
            WebDriverWait(self._driver, DEADLINE_SECONDS, poll_frequency=0.05).until(lambda _: condition())
        except Exception as error:
            shown = (self.view(), self.text("error"), self.text("news"), self.requests())
            raise AssertionError(f"waited in vain until {what}; the page shows {shown}") from error

    def view(self) -> str:
        """The part of the page that is shown: waiting, offline, login or account."""
        shown: list[str] = self.run(
            "return [...document.querySelectorAll('.view')].filter(v => !v.hidden).map(v => v.id)"
        )
        return " ".join(shown)

    def text(self, name: str) -> str:
        content: str = self.run("return document.getElementById(arguments[0])?.textContent ?? ''", name)
        return content

    def requests(self) -> list[str]:
        """What the page says it has asked the server since it was loaded."""
        lines: list[str] = self.run(
            "return [...document.querySelectorAll('#requests li')].map(line => line.textContent)"
        )
        return lines

    def shows(self, view: str) -> None:
        self.until(lambda: self.view() == view, f"it shows {view}")

    def says(self, news: str) -> None:
        self.until(lambda: self.text("news") == news, f"it says {news!r}")

    def press(self, name: str) -> None:
        """Press a button, also in a tab that is behind another one. Nothing is waited for."""
        self.run("document.getElementById(arguments[0]).click()", name)

    def has_renewed(self) -> None:
        """Wait for the end of what pressing `renew` began."""
        self.until(lambda: not self.run("return document.getElementById('renew').disabled"), "the renewal is over")
        assert self.view() == "account", self.text("error")
        assert self.text("news") == "The page has a new access token."

    def slow_down(self, latency_ms: int) -> None:
        """Let answers reach this tab so much later."""
        self._driver.switch_to.window(self._handle)
        network = {"offline": False, "latency": latency_ms, "downloadThroughput": -1, "uploadThroughput": -1}
        self._driver.execute_cdp_cmd("Network.emulateNetworkConditions", network)

    def go(self, url: str) -> None:
        self._driver.switch_to.window(self._handle)
        self._driver.get(url)

    def reload(self) -> None:
        self._driver.switch_to.window(self._handle)
        self._driver.refresh()

    def log_in(self, username: str, password: str) -> None:
        self.shows("login")
        self._driver.find_element(By.ID, "username").send_keys(username)
        self._driver.find_element(By.ID, "password").send_keys(password)
        self._driver.find_element(By.CSS_SELECTOR, "#login-form button").click()
        self.shows("account")

    def begin_call(self, path: str) -> None:
        """Choose a path and press the button."""
        self._driver.switch_to.window(self._handle)
        Select(self._driver.find_element(By.ID, "path")).select_by_value(path)
        self._driver.find_element(By.ID, "call").click()

    def call(self, path: str) -> dict[str, Any]:
        """What the page shows as the answer of a call that succeeds."""
        self.begin_call(path)
        self.says(f"GET {path} has answered.")
        status, _, body = self.text("answer").partition("\n")
        assert status == "200"
        answer: dict[str, Any] = json.loads(body)
        return answer
