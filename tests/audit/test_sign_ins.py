"""GET /me/sign-ins: one's own logins and those that failed, and nothing of others."""

from __future__ import annotations

from typing import Any

import pytest

from server.audit.model import AuditRecord, sign_in_of
from server.core.clock import rfc3339
from server.users.model import UserFilter
from tests.running import PASSWORD, Api


async def sign_ins(api: Api, token: str, query: str = "") -> list[dict[str, Any]]:
    response = await api.request("GET", f"/me/sign-ins?{query}", token)
    assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")
    body = await response.json()
    assert set(body) == {"sign_ins", "next_cursor"}
    listed: list[dict[str, Any]] = body["sign_ins"]
    return listed


async def fail(api: Api, username: str) -> None:
    response = await api.request("POST", "/login", json={"username": username, "password": "x"})
    assert response.status == 400


async def test_logins_and_failures_of_ones_own_account(api: Api) -> None:
    await api.request(
        "POST", "/login", json={"username": "lak", "password": PASSWORD}, headers={"User-Agent": "a <b> \u202e"}
    )
    api.clock.advance(60)
    await fail(api, "LAK")
    await fail(api, "sahan")
    await fail(api, "nobody")
    api.clock.advance(60)
    token = await api.token("lak")
    now = api.clock.now_ms()
    last, failed, first = await sign_ins(api, token)
    assert (last["at"], last["succeeded"], last["ip"], last["reason"]) == (rfc3339(now), True, "127.0.0.1", None)
    assert failed == {
        "at": rfc3339(now - 60_000),
        "succeeded": False,
        "ip": "127.0.0.1",
        "user_agent": None,
        "reason": "wrong password",
    }
    assert first["succeeded"]
    assert first["user_agent"].startswith("a <b> ")
    # What else is in the log, of oneself and of others, is not there.
    await api.request("PATCH", "/me", token, json={"name": "L"})
    assert len(await sign_ins(api, token)) == 3
    assert [one["succeeded"] for one in await sign_ins(api, await api.token("sahan"))] == [True, False]


async def test_they_stay_ones_own_under_another_name(api: Api) -> None:
    """Whoever takes the former name sees nothing of who had it."""
    token = await api.token("lak")
    (user,) = await api.services.repositories.users.list_users(UserFilter(limit=1, text="lak"))
    await api.services.users.rename(user.id, "lakshmi")
    await api.services.users.create("lak", "Other", "customer", PASSWORD)
    await fail(api, "lak")
    assert [one["succeeded"] for one in await sign_ins(api, token)] == [True]
    assert [one["succeeded"] for one in await sign_ins(api, await api.token("lak"))] == [True, False]


async def test_pages(api: Api) -> None:
    for _ in range(4):
        await fail(api, "lak")
        await fail(api, "sahan")
        api.clock.advance(1)
    token = await api.token("lak")
    seen: list[str] = []
    cursor = ""
    while True:
        answer = await (await api.request("GET", f"/me/sign-ins?limit=2{cursor}", token)).json()
        seen += [one["at"] for one in answer["sign_ins"]]
        if answer["next_cursor"] is None:
            break
        cursor = f"&cursor={answer['next_cursor']}"
    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "cursor=x", "user=sahan", "target=sahan", "limit=1&limit=2"])
async def test_a_wrong_query_is_refused(api: Api, query: str) -> None:
    response = await api.request("GET", f"/me/sign-ins?{query}", await api.token("lak"))
    await api.problem(response, 422, "invalid_request")


@pytest.mark.parametrize("after", [None, "", "x", "[]", '{"user_agent":5,"reason":[]}', '{"reason":"\\ud800"}', "NaN"])
def test_a_record_that_somebody_has_altered_still_shows_that_it_was(after: str | None) -> None:
    record = AuditRecord(7, 1, "login_failed", None, None, "u", "lak", "http", "192.0.2.1", "r", None, after, "h")
    found = sign_in_of(record)
    assert (found.seq, found.succeeded, found.ip, found.user_agent, found.reason) == (7, False, "192.0.2.1", None, None)
