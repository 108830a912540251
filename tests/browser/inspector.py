"""The page at /inspect, as its user sees it."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

from tests.browser.scene import PASSWORD, USERNAME
from tests.in_process import LocalServer

if TYPE_CHECKING:
    from tests.browser.chromium import Browser, Page

# With a real clipboard: what is copied here is pasted by the keys that everybody uses.
COPY = """(() => {
const area = document.createElement("textarea");
document.body.append(area);
area.value = %s;
area.select();
const copied = document.execCommand("copy");
area.remove();
return copied;
})()"""
CALL = """
const [module, name, given, done] = arguments;
import(document.querySelector(`link[href$="/${module}"]`).href).then((loaded) => done(loaded[name](...given)));
"""


class Inspector:
    """The page, as its user sees it."""

    def __init__(self, browser: Browser, page: Page) -> None:
        self._browser = browser
        self.page = page

    def paste(self, text: str, *, into: str = "token") -> None:
        """By the keyboard, from the clipboard, into that element."""
        evaluated = self.cdp(
            "Runtime.evaluate", expression=COPY % json.dumps(text), userGesture=True, returnByValue=True
        )
        assert evaluated["result"].get("value") is True, evaluated
        self.page.run("const at = document.getElementById(arguments[0]); at.focus(); at.select?.();", into)
        self.press("v", "KeyV", 86, modifiers=2, commands=["paste"])

    def press(self, key: str, code: str, number: int, **more: object) -> None:
        for kind in ("rawKeyDown", "keyUp"):
            self.cdp("Input.dispatchKeyEvent", type=kind, key=key, code=code, windowsVirtualKeyCode=number,
                     **(more if kind == "rawKeyDown" else {}))  # fmt: skip

    def cdp(self, command: str, **parameters: object) -> dict[str, Any]:
        found: dict[str, Any] = self._browser.driver.execute_cdp_cmd(command, parameters)
        return found

    def says(self, word: str) -> None:
        """Wait for the verdict, and for all that goes with it."""
        self.page.until(
            lambda: self.text("word") == word and self.idle(), f"it says {word!r}, not {self.text('word')!r}"
        )
        self.page.until(lambda: self.text("announcer").startswith(f"{word}."), "it is announced")

    def call(self, module: str, function: str, *arguments: object) -> Any:
        """What a function of one of the page's scripts returns."""
        return self.page.run_async(CALL, module, function, list(arguments))

    def idle(self) -> bool:
        return bool(self.page.run("return !document.querySelector('[aria-busy=true]')"))

    def text(self, name: str) -> str:
        return self.page.text(name)

    def shown(self, name: str) -> str:
        """The text of an element as it is seen; empty if it is hidden."""
        seen: str = self.page.run(
            "const e = document.getElementById(arguments[0]); return e.checkVisibility() ? e.innerText : ''", name
        )
        return re.sub(r"\n+", "\n", seen)

    def members(self, name: str) -> dict[str, str]:
        """Header or claims, in the order in which they are shown."""
        found: list[tuple[str, str]] = self.page.run(
            "return [...document.querySelectorAll(`#${arguments[0]} dl > div`)].map("
            "(row) => [row.querySelector('dt').firstChild.textContent, row.querySelector('dd').innerText])",
            name,
        )
        return dict(found)

    def routes(self, name: str) -> list[str]:
        found: list[str] = self.page.run(
            "return [...document.querySelectorAll(`#${arguments[0]} li`)].map("
            "(line) => `${line.children[0].textContent} ${line.children[1].textContent}`)",
            name,
        )
        return found

    def field(self) -> str:
        value: str = self.page.run("return document.getElementById('token').value")
        return value

    def sent(self) -> list[str]:
        """The tokens that went to the server."""
        return [json.loads(exchange.body)["token"] for exchange in self._browser.exchanges("POST", "/inspect")]


def strays(browser: Browser, server: LocalServer) -> set[str]:
    """What the browser has asked for elsewhere. With `data:` nobody is asked, and its own first page is no matter."""
    known = (f"{server.address}/", "data:", "chrome:", "chrome-untrusted:")
    return {exchange.url for exchange in browser.all_exchanges() if not exchange.url.startswith(known)}


def with_payload(token: str, **changes: Any) -> str:
    """The same header and signature around other claims."""
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "==")) | changes
    written = json.dumps(claims).replace('"exactly"', "12345678901234567890123").encode()
    return f"{header}.{base64.urlsafe_b64encode(written).decode().rstrip('=')}.{signature}"


def customers(server: LocalServer) -> str:
    token: str = server.log_in(USERNAME, PASSWORD)["token"]
    return token
