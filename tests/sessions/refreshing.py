"""POST /refresh, and whether an access token is taken."""

from __future__ import annotations

from typing import Any

from tests.running import Api


async def refresh(api: Api, token: str) -> dict[str, Any]:
    response = await api.request("POST", "/refresh", json={"refresh_token": token})
    assert response.status == 200, await response.text()
    body: dict[str, Any] = await response.json()
    return body


async def refused(api: Api, token: str, code: str) -> None:
    response = await api.request("POST", "/refresh", json={"refresh_token": token})
    await api.problem(response, 401, code)
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


async def is_alive(api: Api, access_token: str) -> bool:
    response = await api.request("GET", "/me", access_token)
    if response.status == 200:
        return True
    await api.problem(response, 401, "token_revoked")
    return False
