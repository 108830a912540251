"""What the tests of registration do with a server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import aiohttp

from server.settings.tree import RegistrationSettings, ServerSettings
from tests.running import PASSWORD, Api

BY_INVITATION: dict[str, Any] = {"registration": RegistrationSettings(mode="invitation")}
OPEN: dict[str, Any] = {"registration": RegistrationSettings(mode="open")}
BEHIND_A_PROXY: dict[str, Any] = {"server": ServerSettings(trusted_proxies=("127.0.0.0/8",))}


async def invite(api: Api, by: str = "sahan", **body: Any) -> tuple[dict[str, Any], str]:
    """The invitation and its token."""
    response = await api.request("POST", "/invitations", await api.token(by), json=body)
    assert response.status == 201, await response.text()
    answer = await response.json()
    assert set(answer) == {"invitation", "invitation_token", "mailed"}
    return answer["invitation"], answer["invitation_token"]


async def sign_up(
    api: Api, username: str = "nuwan", token: str | None = None, *, address: str = "192.0.2.1", **fields: Any
) -> aiohttp.ClientResponse:
    body = {"username": username, "name": "Nuwan", "password": PASSWORD} | fields
    if token is not None:
        body["invitation_token"] = token
    return await api.request("POST", "/sign-up", json=body, headers={"X-Forwarded-For": address})


async def user_of(response: aiohttp.ClientResponse) -> dict[str, Any]:
    assert response.status == 201, await response.text()
    answer = await response.json()
    assert set(answer) == {"user"}
    user: dict[str, Any] = answer["user"]
    return user


async def is_good(api: Api, token: str) -> bool:
    response = await api.request("POST", "/invitations/check", json={"invitation_token": token})
    if response.status == 200:
        return True
    await api.problem(response, 400, "invitation_invalid")
    return False


async def used(api: Api, invitation: dict[str, Any]) -> int:
    found = await api.services.repositories.invitations.get(invitation["id"])
    assert found is not None
    return found.used


async def is_there(api: Api, username: str) -> bool:
    return await api.services.repositories.users.find_credentials(username) is not None


async def reloaded(api: Api, **changes: Any) -> Api:
    """The same server with other settings."""
    await api.live.prepare(api.services.settings.model_copy(update=changes))
    api.live.take()
    return replace(api, services=api.live.services)
