"""POST /refresh, whether an access token is taken, and sessions whose sign-in is long ago."""

from __future__ import annotations

from typing import Any

from server.sessions.model import RECENT_SECONDS
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


async def signed_in_long_ago(api: Api, username: str, seconds: float = RECENT_SECONDS + 1) -> dict[str, Any]:
    """The answer to a refresh now, of a session that was opened before so long."""
    api.clock.set_wall(-seconds)
    answer = await api.log_in(username)
    api.clock.set_wall(seconds)
    return await refresh(api, answer["refresh_token"])
