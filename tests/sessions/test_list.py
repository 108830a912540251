"""The list of sessions is told page by page, and says from where each was used last."""

from __future__ import annotations

from typing import Any

import pytest

from server.settings.tree import ServerSettings
from tests.running import PASSWORD, Api, StartApi

LOGIN = {"username": "lak", "password": PASSWORD}


async def test_the_address_is_that_of_the_last_use(start_api: StartApi) -> None:
    api = await start_api(server=ServerSettings(trusted_proxies=("127.0.0.0/8",)))

    async def post(path: str, body: dict[str, Any], address: str, agent: str) -> dict[str, Any]:
        headers = {"X-Forwarded-For": address, "User-Agent": agent}
        answer: dict[str, Any] = await (await api.request("POST", path, json=body, headers=headers)).json()
        return answer

    async def shown(token: str) -> tuple[str, str]:
        (session,) = (await (await api.request("GET", "/me/sessions", token)).json())["sessions"]
        return session["ip"], session["user_agent"]

    tokens = await post("/login", LOGIN, "198.51.100.7", "a browser")
    assert await shown(tokens["token"]) == ("198.51.100.7", "a browser")
    for address in ("203.0.113.9", "2001:db8::9"):
        tokens = await post("/refresh", {"refresh_token": tokens["refresh_token"]}, address, "another agent")
        assert await shown(tokens["token"]) == (address, "a browser")


async def test_a_list_goes_on_behind_its_page(api: Api) -> None:
    token = ""
    for _ in range(5):
        api.clock.advance(1)
        token = await api.token("lak")
    admin = await api.token("sahan")
    user_id = (await (await api.request("GET", "/me", token)).json())["user"]["id"]
    for path, caller in (("/me/sessions", token), (f"/users/{user_id}/sessions", admin)):
        whole = await (await api.request("GET", path, caller)).json()
        assert (len(whole["sessions"]), whole["next_cursor"]) == (5, None)
        found: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            query = f"?limit=2{f'&cursor={cursor}' if cursor else ''}"
            page = await (await api.request("GET", path + query, caller)).json()
            found += page["sessions"]
            assert len(page["sessions"]) <= 2
            cursor = page["next_cursor"]
        assert found == whole["sessions"]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "cursor=x", "cursor=", "cursor=MQ", "other=1"])
async def test_a_page_that_there_is_not_is_refused(api: Api, query: str) -> None:
    token = await api.token("lak")
    problem = await api.problem(await api.request("GET", f"/me/sessions?{query}", token), 422, "invalid_request")
    assert problem["errors"][0]["field"] == query.partition("=")[0]
