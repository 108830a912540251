"""From the request to the changed account, by mails that a real SMTP server got. tests/browser has the pages."""

from __future__ import annotations

import asyncio
from typing import Any

from server.settings.mail import MailSettings
from server.settings.tree import RegistrationSettings
from tests.emails.mailed import MAIL, ORIGIN, Browser, emails_of, user_id_of
from tests.mail.mail_server import MailServer, Received, code_of, link_of, mail_server
from tests.running import PASSWORD, Api, StartApi

NUWAN = "nuwan@example.com"


def mailing_to(server: MailServer) -> dict[str, Any]:
    mail = MailSettings(url=server.url, sign_in_notices=False, **{"from": "Example <auth@mail.example>"})
    return MAIL | {"mail": mail, "registration": RegistrationSettings(mode="open")}


async def arrived(server: MailServer, recipient: str) -> Received:
    return await asyncio.to_thread(server.wait_for, recipient)


def token_in(mail: Received, page: str) -> str:
    """What the page gets that the link leads to."""
    address, _, token = link_of(mail).partition("#")
    assert address == f"{ORIGIN}{page}"
    return token


async def status_of_login(api: Api, username: str) -> int:
    return (await Browser(api).request("POST", "/login", json={"username": username, "password": PASSWORD})).status


async def test_from_the_sign_up_to_the_first_sign_in(start_api: StartApi) -> None:
    with mail_server() as server:
        api = await start_api(**mailing_to(server))
        browser, scanner = Browser(api), Browser(api, ip="198.51.100.7")
        body = {"username": "nuwan", "name": "Buy at evil.example", "password": PASSWORD, "email": NUWAN}
        response = await browser.request("POST", "/sign-up", json=body, headers={"Accept-Language": "de-CH"})
        assert response.status == 201
        mail = await arrived(server, NUWAN)
        token = token_in(mail, "/confirm-email")
        # Whoever has not asked for the mail reads nothing in it that a stranger has written.
        assert not any(word in mail.text + mail.subject for word in ("evil", "Buy", "nuwan "))
        assert "bestätigen" in mail.text
        # A scanner reads the code too, and types nothing.
        assert await scanner.confirm(token=token) == "code_required"
        assert await status_of_login(api, "nuwan") == 403
        assert await browser.confirm(token=token) == "done"
        assert await status_of_login(api, NUWAN) == 200


async def test_by_the_code_in_another_browser(start_api: StartApi) -> None:
    with mail_server() as server:
        api = await start_api(**mailing_to(server))
        body = {"username": "nuwan", "name": "Nuwan", "password": PASSWORD, "email": NUWAN}
        assert (await Browser(api).request("POST", "/sign-up", json=body)).status == 201
        code = code_of(await arrived(server, NUWAN))
        assert await Browser(api).confirm(email=NUWAN, code=code.lower()) == "done"
        assert await status_of_login(api, NUWAN) == 200


async def test_from_another_address_to_a_verified_one(start_api: StartApi) -> None:
    with mail_server() as server:
        api = await start_api(**mailing_to(server))
        await api.services.users.update(await user_id_of(api, "lak"), email="lak@example.com")
        browser, token = Browser(api), await api.token("lak")
        wanted = {"email": "lak@bücher.example"}
        assert (await browser.request("POST", "/me/emails", token, json=wanted)).status == 202
        mail = await arrived(server, "lak@xn--bcher-kva.example")
        assert await Browser(api).confirm(token=token_in(mail, "/confirm-email"), code=code_of(mail)) == "done"
        assert await emails_of(api, "lak") == [("lak@example.com", True, True), ("lak@bücher.example", True, False)]
        told = await arrived(server, "lak@example.com")
        assert "lak@bücher.example" in told.text
        assert token_in(told, "/account") == ""


async def test_the_owner_hears_that_somebody_gave_the_address(start_api: StartApi) -> None:
    with mail_server() as server:
        api = await start_api(**mailing_to(server))
        await api.services.users.create("owner", "Owner", "customer", PASSWORD, NUWAN)
        body = {"username": "evil", "name": "Evil", "password": PASSWORD, "email": "NUWAN@example.com"}
        assert (await Browser(api).request("POST", "/sign-up", json=body)).status == 201
        mail = await arrived(server, NUWAN)
        assert token_in(mail, "/sign-in") == ""
        assert "evil" not in (mail.text + mail.html).lower()
        assert server.to("NUWAN@example.com") == []


async def test_from_the_invitation_to_the_first_sign_in(start_api: StartApi) -> None:
    with mail_server() as server:
        api = await start_api(**mailing_to(server))
        response = await api.request("POST", "/invitations", await api.token("sahan"), json={"email": NUWAN})
        assert (await response.json())["mailed"] is True
        token = token_in(await arrived(server, NUWAN), "/invitation")
        body = {"username": "nuwan", "name": "Nuwan", "password": PASSWORD, "invitation_token": token}
        assert (await Browser(api).request("POST", "/sign-up", json=body)).status == 201
        assert await status_of_login(api, NUWAN) == 200
        assert len(server.messages) == 1
