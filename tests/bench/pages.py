"""`make bench`: how long after the first byte a page shows its form, and how much its first load takes.

Each page is loaded by a browser with nothing in its cache, on loopback, from a server with one process. The form is
shown with the first frame in which its field can be seen; the HTML has it, or the script makes it.
"""

from __future__ import annotations

import json
import shutil
import statistics
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.browser.chromium import Chromium
from tests.browser.hosted import Hosted, Screen
from tests.process.server_process import ServerProcess, serving

# What has to be seen. The tokens are none, so these pages show why there is no form, or find out when it is sent.
PAGES = {
    "/sign-in": "#sign-in input",
    "/sign-up": "#sign-up input",
    "/reset-password#wwr_x": "#reset-password input",
    "/account": "#sessions li",
    "/console": "#view td",
}
SIGNED_IN = {"/account", "/console"}
# Runs before the page's own scripts. Milliseconds from the first byte of the page to the frame that shows it.
WATCH = """
const look = () => {
  if ([...document.querySelectorAll(%s)].some((element) => element.checkVisibility())) {
    const first = performance.getEntriesByType("navigation")[0].responseStart;
    requestAnimationFrame(() => { window.shownAfter = performance.now() - first; });
  } else requestAnimationFrame(look);
};
look();
"""


def pages(folder: Path, rounds: int) -> None:
    """Print a line for each page. Without a browser nothing is measured."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        print("pages: chromium or chromedriver is missing")
        return
    table = Table("page", "KB at the first load", "ms to the form, median", "worst", title="Pages, from an empty cache")
    with serving(folder, WATCHWORD__REGISTRATION__MODE="open") as server:
        chromium = Chromium(browser, driver, folder / "profile")
        try:
            for path, selector in PAGES.items():
                loads = [_load(chromium, server, path, selector) for _ in range(rounds)]
                times = [milliseconds for milliseconds, _ in loads]
                kilobytes = f"{loads[0][1] / 1000:.1f}"
                table.add_row(path, kilobytes, f"{statistics.median(times):.0f}", f"{max(times):.0f}")
        finally:
            chromium.quit()
    Console().print(table)


def _load(chromium: Chromium, server: ServerProcess, path: str, selector: str) -> tuple[float, int]:
    """How long it took, and the bytes that came."""
    with chromium.browser() as browser:
        page = Hosted(browser, server.address, Screen())
        # The process in which the browser shows this origin is there.
        page.go("/health/live")
        if path in SIGNED_IN:
            page.visit("/sign-in")
            page.sign_in("admin", server.admin_password())
            page.is_at("/account")
        page.cdp("Network.clearBrowserCache")
        before = sum(one.received_bytes for one in browser.all_exchanges())
        page.cdp("Page.addScriptToEvaluateOnNewDocument", source=WATCH % json.dumps(selector))
        page.go(path)
        page.until(lambda: page.run("return 'shownAfter' in window"), f"{path} shows {selector}")
        milliseconds: float = page.run("return window.shownAfter")
        return milliseconds, sum(one.received_bytes for one in browser.all_exchanges()) - before
