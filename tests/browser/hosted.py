"""A tab with pages of the server, as a person uses it. Nothing here depends on the words of a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.chromium import DEADLINE_SECONDS, Page

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.chromium import Browser

# Loaded, its script has run, and nothing is on its way that it waits for.
READY = """
const main = document.querySelector("main h1");
const buttons = [...document.querySelectorAll("main form button[type=submit]")];
const waiting = buttons.some((button) => button.disabled && button.checkVisibility())
  || document.querySelector("[aria-busy=true]") !== null;
return document.readyState === "complete" && main !== null && !waiting;
"""
SEEN = """
return [...document.querySelectorAll(arguments[0])].some((element) => element.checkVisibility());
"""
# Below a width of 320 px nobody has to scroll in two directions either (WCAG 2.2, success criterion 1.4.10).
TOO_WIDE = """
return document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
  .filter((element) => element.checkVisibility() && element.getBoundingClientRect().right > innerWidth + 1)
  .map((element) => `${element.tagName} ${element.id} ${element.className}`);
"""
# Impacts that axe-core calls serious or critical.
LOOK = """
const [rules, done] = arguments;
const options = rules ? {runOnly: rules} : {};
axe.run(document, {...options, resultTypes: ["violations"]}).then(({violations}) => done(violations
  .filter(({impact}) => ["serious", "critical"].includes(impact))
  .flatMap(({id, nodes}) => nodes.map(({html, failureSummary}) => `${id}: ${html} ${failureSummary}`))));
"""


@dataclass(frozen=True, slots=True)
class Screen:
    """What a page is shown on, and to whom."""

    width: int = 1280
    language: str = "en"
    scheme: str = "light"


class Hosted(Page):
    """One tab. `origin` is the server's."""

    def __init__(self, browser: Browser, origin: str, screen: Screen) -> None:
        browser.open_tab()
        super().__init__(browser.driver, browser.driver.current_window_handle)
        self.browser = browser
        self.origin = origin
        self.cdp("Network.setExtraHTTPHeaders", headers={"Accept-Language": screen.language})
        self.show_on(screen)

    def show_on(self, screen: Screen) -> None:
        """Another window, or another scheme of colours. The language is that of the next page."""
        self.cdp(
            "Emulation.setDeviceMetricsOverride", width=screen.width, height=800, deviceScaleFactor=1, mobile=False
        )
        features = {"prefers-color-scheme": screen.scheme, "prefers-reduced-motion": "reduce"}
        shown = [{"name": name, "value": value} for name, value in features.items()]
        self.cdp("Emulation.setEmulatedMedia", features=shown)

    def cdp(self, command: str, **parameters: object) -> dict[str, Any]:
        self.enter()
        found: dict[str, Any] = self._driver.execute_cdp_cmd(command, parameters)
        return found

    def enter(self) -> None:
        """Commands go to this tab from now on."""
        self._driver.switch_to.window(self._handle)

    def go(self, url: str) -> None:
        """To a path of the server, or another address. It is loaded anew, also where only the fragment differs."""
        self.enter()
        if "#" in url:
            self._driver.get("about:blank")
        self.browser.go(self.origin + url if url.startswith("/") else url)

    def visit(self, path: str) -> None:
        """The page of that path, ready."""
        self.go(path)
        self.until(lambda: self.run(READY), f"{path} is ready")

    def path(self) -> str:
        found: str = self.run("return location.href.slice(location.origin.length)")
        return found

    def is_at(self, path: str) -> None:
        """Wait until the page of that path is there and ready."""
        self.until(lambda: self.run("return location.pathname") == path and self.run(READY), f"it is at {path}")

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until the condition holds; `what` is said if it never does, with what the page shows."""
        try:
            WebDriverWait(self._driver, DEADLINE_SECONDS, poll_frequency=0.05).until(lambda _: condition())
        except Exception as error:
            shown = self.run("return [location.href, document.body?.innerText.slice(0, 2000)]")
            raise AssertionError(f"waited in vain until {what}; the page shows {shown}") from error

    def sees(self, selector: str) -> bool:
        """Whether such an element can be seen."""
        return bool(self.run(SEEN, selector))

    def shows(self, selector: str) -> None:
        """Wait for such an element."""
        self.until(lambda: self.sees(selector), f"it shows {selector}")

    def content(self, selector: str = "main") -> str:
        """The text of the first such element, as it is seen."""
        found: str = self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
        return found

    def fill(self, form: str, **values: str) -> None:
        """Into fields of a form, by their names."""
        self.shows(form)
        self.enter()
        for name, value in values.items():
            field = self._driver.find_element("css selector", f"{form} [name={name}]")
            field.clear()
            field.send_keys(value)

    def send(self, form: str, **values: str) -> None:
        """Fill in a form and press its button."""
        self.fill(form, **values)
        self.click(f"{form} button[type=submit]")

    def click(self, selector: str) -> None:
        """As by a mouse, on the first such element that is seen."""
        self.shows(selector)
        self.enter()
        found = self._driver.find_elements("css selector", selector)
        next(element for element in found if element.is_displayed()).click()

    def type(self, *keys: str) -> None:
        """By the keyboard alone, wherever the focus is."""
        self.enter()
        ActionChains(self._driver).send_keys(*keys).perform()

    def focused(self) -> str:
        """The name or else the id of what has the focus."""
        found: str = self.run("const at = document.activeElement; return at.name || at.id || at.tagName")
        return found

    def too_wide(self) -> list[str]:
        """What reaches beyond the right border, if the page scrolls sideways."""
        found: list[str] = self.run(TOO_WIDE)
        return found

    def barriers(self, axe: str, *rules: str) -> list[str]:
        """What axe-core finds serious on this page; by these rules alone, if any are named."""
        if not self.run("return 'axe' in window"):
            self.cdp("Runtime.evaluate", expression=axe)
        found: list[str] = self.run_async(LOOK, list(rules) or None)
        return found

    def offline(self, *, lost: bool) -> None:
        """Take the network away from this tab, or give it back."""
        self.cdp(
            "Network.emulateNetworkConditions", offline=lost, latency=0, downloadThroughput=-1, uploadThroughput=-1
        )

    def sign_in(self, username: str, password: str) -> None:
        """On the page that is shown, or else at /sign-in."""
        if self.run("return location.pathname") != "/sign-in":
            self.visit("/sign-in")
        self.until(lambda: self.run(READY), "the sign-in page is ready")
        self.send("#sign-in", username=username, password=password)


TAB, ENTER, ESCAPE = Keys.TAB, Keys.ENTER, Keys.ESCAPE
