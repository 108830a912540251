"""From the request to the changed account, with a real mail server between them and nothing done by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from server.settings.mail import MailSettings
from server.settings.tree import ServerSettings
from tests.mail.mail_server import MailServer, Received, code_of, link_of, mail_server
from tests.recovery.asking import NEW_PASSWORD, ask_code, browser_of, confirm, forgot, reset, verify
from tests.running import Api, StartApi

PUBLIC_URL = "https://auth.example.com"


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


@pytest.fixture
async def api(start_api: StartApi, server: MailServer, monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.setattr("server.background.REQUEST_SECONDS", 0.05)
    mail = MailSettings(
        url=server.url, sign_in_codes=True, sign_in_notices=False, **{"from": "Example <auth@mail.example>"}
    )
    api = await start_api(mail=mail, server=ServerSettings(public_url=PUBLIC_URL))
    await verify(api, "lak", "lak@example.com")
    return api


async def arrived(server: MailServer, count: int = 1) -> Received:
    """The mail of that number."""
    return await asyncio.to_thread(server.wait_for, "lak@example.com", count)


def token_of(mail: Received, path: str) -> str:
    """The token of the link, which leads to that page."""
    link = urlsplit(link_of(mail))
    assert (f"{link.scheme}://{link.netloc}", link.path, link.query) == (PUBLIC_URL, path, "")
    return link.fragment


async def test_a_forgotten_password_is_set_by_the_link(api: Api, server: MailServer) -> None:
    browser = browser_of(await forgot(api, "lak"))
    mail = await arrived(server)
    token = token_of(mail, "/reset-password")
    assert (await reset(api, browser=browser, reset_token=token)).status == 204
    await api.log_in("lak", NEW_PASSWORD)


async def test_a_forgotten_password_is_set_by_the_code(api: Api, server: MailServer) -> None:
    await forgot(api, "lak@example.com", headers={"Accept-Language": "de"})
    mail = await arrived(server)
    assert "Passwort" in mail.subject
    assert (await reset(api, identifier="lak@example.com", code=code_of(mail))).status == 204
    await api.log_in("lak", NEW_PASSWORD)


async def test_somebody_signs_in_by_the_link_and_by_the_code(api: Api, server: MailServer) -> None:
    asked = await api.request("POST", "/login/code", json={"identifier": "lak"})
    token = token_of(await arrived(server), "/sign-in")
    assert (await confirm(api, token=token)).status == 403
    assert (await confirm(api, browser_of(asked), token=token)).status == 200
    server.clear()
    challenge = await ask_code(api, "lak")
    assert (await confirm(api, challenge=challenge, code=code_of(await arrived(server)))).status == 200


async def test_a_scanner_on_the_way_consumes_nothing(api: Api, server: MailServer) -> None:
    """It knows the whole mail's link, and does with it what a browser would."""
    browser = browser_of(await forgot(api, "lak"))
    mail = await arrived(server)
    link = urlsplit(link_of(mail))
    for method in ("GET", "HEAD", "POST"):
        seen = await api.request(method, link.path)
        assert seen.status in {200, 405}
    await api.problem(await reset(api, "set by a machine of theirs", reset_token=link.fragment), 403, "code_required")
    assert (await reset(api, browser=browser, reset_token=link.fragment)).status == 204
