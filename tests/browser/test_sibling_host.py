"""Two hosts of one site, over TLS: what a page of one plants among the cookies of the other (RFC 6265 section 8.6)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from aiohttp import web

from server.app import create_runner, open_services
from tests.browser.scene import COOKIE, DEVICE_COOKIE, PASSWORD
from tests.certificates import certified
from tests.running import settings_with

if TYPE_CHECKING:
    from tests.browser.chromium import Browser, Page

OURS, THEIRS = "auth.example.test", "shop.example.test"

# What the browser lets a page of the other host set for the whole site; {} is a cookie of ours with a value of theirs.
PLANTED = [
    "theme=dark {}",
    "theme=dark, {}",
    "theme=dark\u00a0{}",
    'theme="\\" {}',
    "a [ {}",
    "\u00a0{}",
    "\u2003{}",
    "\ufeff{}",
    "$Version=1 {}",
]
# And what it does not, or only some browsers do: names with our prefix, in any case, and cookies without a name.
REFUSED = ["{}", "={}", " {}", "\t{}"]

POST = """
const [path, body, done] = arguments;
const options = {method: "POST"};
if (body) Object.assign(options, {body: JSON.stringify(body), headers: {"Content-Type": "application/json"}});
fetch(path, options).then(
  async (answer) => done([answer.status, await answer.text()]), (error) => done([0, `${error}`]));
"""


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    """A server with two users, under both names: the attacker's page needs no more than a host."""
    async with open_services(settings_with(f"sqlite:///{tmp_path}/watchword.db"), serving=True) as services:
        for username in ("lak", "mallory"):
            await services.users.create(username, username, "customer", PASSWORD)
        runner = create_runner(services)
        await runner.setup()
        site = web.TCPSite(
            runner, "127.0.0.1", 0, ssl_context=certified("*.example.test", tmp_path / "certificate.pem")
        )
        await site.start()
        yield runner.addresses[0][1]
        await runner.cleanup()


@pytest.fixture
def browser(programs: tuple[str, str], port: int, tmp_path: Path) -> Iterator[Browser]:
    from tests.browser.chromium import Chromium  # noqa: PLC0415 - needs selenium, and `programs` has looked for it

    resolved = f"--host-resolver-rules=MAP {OURS} 127.0.0.1, MAP {THEIRS} 127.0.0.1"
    opened = Chromium(*programs, tmp_path / "profile", resolved, "--ignore-certificate-errors")
    try:
        with opened.browser() as browser:
            yield browser
    finally:
        opened.quit()


async def post(page: Page, path: str, body: dict[str, Any] | None = None) -> tuple[int, str]:
    status, text = await asyncio.to_thread(page.run_async, POST, path, body)
    return status, text


async def log_in(page: Page, username: str) -> str:
    """The session, whose refresh token is in the browser's cookie."""
    status, text = await post(page, "/login", {"username": username, "password": PASSWORD, "cookie": True})
    assert status == 200, text
    return session_in(text)


def session_in(answer: str) -> str:
    token = json.loads(answer)["token"]
    session_id: str = jwt.decode(token, options={"verify_signature": False})["sid"]
    return session_id


async def test_a_page_of_another_host_plants_neither_session_nor_device(browser: Browser, port: int) -> None:
    ours = await asyncio.to_thread(browser.open, f"https://{OURS}:{port}/health/live")
    await log_in(ours, "mallory")
    planted = {cookie["name"]: cookie["value"] for cookie in await asyncio.to_thread(browser.cookies)}
    await asyncio.to_thread(browser.driver.execute_cdp_cmd, "Network.clearBrowserCookies", {})
    theirs = await asyncio.to_thread(browser.open, f"https://{THEIRS}:{port}/health/live")

    async def plant(form: str, name: str, life: str = "") -> str:
        """What the browser has taken of it."""
        cookie = form.replace("{}", f"{name}={planted[name]}") + "; Domain=example.test; Path=/; Secure" + life
        script = "document.cookie = arguments[0]; return document.cookie;"
        found: str = await asyncio.to_thread(theirs.run, script, cookie)
        return found

    for form in PLANTED:
        for name in (COOKIE, DEVICE_COOKIE):
            assert f"{name}={planted[name]}" in await plant(form, name), f"the browser has not taken {form!r}"
    for form in REFUSED:
        await plant(form, COOKIE)

    # Without a session of their own, the victim is nobody; with one, it is their own.
    assert (await post(ours, "/refresh"))[0] == 401
    assert (await post(ours, "/logout"))[0] == 401
    session = await log_in(ours, "lak")
    for form in PLANTED:
        await plant(form, COOKIE, "; Max-Age=1000")
    status, text = await post(ours, "/refresh")
    assert (status, session_in(text)) == (200, session)
    assert (await post(ours, "/logout"))[0] == 204
    assert COOKIE not in {cookie["name"] for cookie in await asyncio.to_thread(browser.cookies)}
    assert (await post(ours, "/refresh"))[0] == 401
