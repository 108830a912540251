"""A browser, the example's site, a server that lets it in, and a page of that server."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.inspector import Inspector, strays
from tests.browser.scene import Start, with_customer
from tests.browser.site import Site, static_site
from tests.in_process import LocalServer, serving
from tests.needed import require

if TYPE_CHECKING:
    from tests.browser.chromium import Browser, Chromium
    from tests.browser.hosted import Hosted

# Takes a path, and of a Screen what is not as usual.
Visit = Callable[..., "Hosted"]

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def _first_of(*names: str) -> str | None:
    return next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def programs() -> tuple[str, str]:
    """Where the browser and its driver are. Without them the tests are skipped; where they must run, they fail."""
    browser, driver = _first_of(*BROWSERS), _first_of("chromedriver")
    selenium = importlib.util.find_spec("selenium")
    require({"selenium": selenium, "chromium": browser, "chromedriver": driver})
    assert browser
    assert driver
    return browser, driver


@pytest.fixture
def site() -> Iterator[Site]:
    """Where the example is served from; its origin is allowed."""
    with static_site() as served:
        yield served


@pytest.fixture
def other_site(site: Site, server: LocalServer) -> Iterator[Site]:
    """The same files on the same host, from an origin that is not allowed."""
    with static_site() as served:
        served.api_port = site.api_port
        yield served


@pytest.fixture(scope="session")
def chromium(programs: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    from tests.browser.chromium import Chromium  # noqa: PLC0415 - needs selenium, and `programs` has looked for it

    opened = Chromium(*programs, tmp_path_factory.mktemp("profile"))
    try:
        yield opened
    finally:
        opened.quit()


@pytest.fixture
def browser(chromium: Chromium, site: Site) -> Iterator[Browser]:
    """It goes before the site that it may have connections to."""
    del site
    with chromium.browser() as opened:
        yield opened


@pytest.fixture
def start(browser: Browser, site: Site, tmp_path: Path) -> Iterator[Start]:
    """Starts the server that the site's pages call; what it stores stays from one start to the next."""
    folder = tmp_path / "server"
    folder.mkdir()
    origins = json.dumps([site.origin("127.0.0.1"), site.origin("localhost")])
    with contextlib.ExitStack() as stack:

        def begin(**changes: str) -> LocalServer:
            changes["WATCHWORD__CORS__ORIGINS"] = origins
            server = stack.enter_context(serving(folder, **changes))
            site.api_port = int(server.address.rpartition(":")[2])
            return server

        yield begin


@pytest.fixture
def server(start: Start) -> LocalServer:
    """A server with one customer, who has not logged in yet."""
    return with_customer(start())


@pytest.fixture
def hosted(tmp_path: Path) -> Iterator[LocalServer]:
    """A server with its pages, an admin and the customer. Whoever wants an account gets one."""
    folder = tmp_path / "hosted"
    folder.mkdir()
    with serving(folder, WATCHWORD__REGISTRATION__MODE="open") as server:
        yield with_customer(server)


@pytest.fixture
def visit(chromium: Chromium, hosted: LocalServer) -> Iterator[Visit]:
    """Opens tabs at that server. Whatever a test does there: no script fails, and no policy is violated."""
    from tests.browser.hosted import Hosted, Screen  # noqa: PLC0415 - needs selenium, as `chromium` does

    with chromium.browser() as browser:

        def opened(path: str = "", *, profile: Browser | None = None, **screen: Any) -> Hosted:
            page = Hosted(profile or browser, hosted.address, Screen(**screen))
            if path:
                page.visit(path)
            return page

        yield opened
        assert browser.defects() == []


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core, which looks for what keeps people from using a page."""
    script = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
    require({"axe-core (npm ci in tests/browser)": script.is_file()})
    return script.read_text("utf-8")


@pytest.fixture
def inspector(browser: Browser, server: LocalServer) -> Iterator[Inspector]:
    """The page of a running server. Whatever a test does there: no policy is violated, and nobody else is asked."""
    opened = Inspector(browser, browser.open(f"{server.address}/inspect"))
    yield opened
    assert browser.complaints() == []
    assert strays(browser, server) == set()
