"""The audit log over HTTP: what each route writes, and reading it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from server.app import open_services
from server.audit.model import AuditEvent
from server.core.clock import rfc3339
from tests.clock import FakeClock
from tests.process.server_process import ROOT
from tests.running import PASSWORD, Api, settings_with

OTHER = "another password of mine"


async def read(api: Api, token: str, query: str = "") -> list[dict[str, Any]]:
    response = await api.request("GET", f"/audit?{query}", token)
    assert response.status == 200, await response.text()
    assert response.headers["Cache-Control"] == "no-store"
    events: list[dict[str, Any]] = (await response.json())["events"]
    return events


async def id_of(api: Api, username: str) -> str:
    found = await api.services.repositories.users.find_credentials(username)
    assert found is not None
    return found.user.id


async def act(api: Api, method: str, path: str, token: str | None = None, **options: Any) -> dict[str, Any]:
    """Make a change; the one record that it has left, which has the request id of the answer."""
    before = await api.services.audit.head()
    response = await api.request(method, path, token, **options)
    assert before is not None
    (record,) = await api.services.repositories.audit.records_from(before.seq + 1, 5)
    assert record.request_id == response.headers["X-Request-Id"]
    assert (record.via, record.ip) == ("http", "127.0.0.1")
    assert record.at == api.clock.now_ms()
    return {
        "event": record.event,
        "actor": record.actor_name,
        "target": record.target_name,
        "before": json.loads(record.before or "null"),
        "after": json.loads(record.after or "null"),
    }


def told(event: str, actor: str | None, target: str | None, before: Any = None, after: Any = None) -> dict[str, Any]:
    return {"event": event, "actor": actor, "target": target, "before": before, "after": after}


async def test_what_an_admin_does_to_a_user(api: Api) -> None:
    token = await api.token("sahan")
    new = {"username": "john", "name": "John", "role": "customer", "password": PASSWORD}
    assert await act(api, "POST", "/users", token, json=new) == told(
        "user_created", "sahan", "john", None, {"name": "John", "role": "customer", "password": True}
    )
    path = f"/users/{await id_of(api, 'john')}"
    assert await act(api, "PATCH", path, token, json={"role": "admin", "name": "J"}) == told(
        "user_changed", "sahan", "john", {"name": "John", "role": "customer"}, {"name": "J", "role": "admin"}
    )
    await api.log_in("john")
    assert await act(api, "DELETE", f"{path}/sessions", token) == told(
        "sessions_ended", "sahan", "john", None, {"sessions_ended": 1}
    )
    assert await act(api, "POST", f"{path}/password-reset", token) == told("password_reset_requested", "sahan", "john")
    assert await act(api, "PATCH", path, token, json={"disabled": True}) == told(
        "user_changed", "sahan", "john", {"disabled": False}, {"disabled": True}
    )
    assert await act(api, "DELETE", path, token) == told(
        "user_deleted", "sahan", "john", {"name": "J", "role": "admin", "disabled": True}
    )
    # What was done to John stays.
    assert [event["event"] for event in await read(api, token, "target=john")] == [
        "user_deleted", "user_changed", "password_reset_requested", "sessions_ended", "login_succeeded", "user_changed",
        "user_created",
    ]  # fmt: skip


async def test_what_users_do_to_themselves(api: Api) -> None:
    login = {"username": "LAK", "password": PASSWORD}
    done = await act(api, "POST", "/login", json=login, headers={"User-Agent": "a \u2028 b"})
    assert (done["event"], done["actor"], done["target"]) == ("login_succeeded", "lak", "lak")
    assert done["after"]["user_agent"]
    one, two, three = await api.log_in("lak"), await api.log_in("lak"), await api.log_in("lak")
    token = one["token"]
    assert await act(api, "PATCH", "/me", token, json={"name": "New"}) == told(
        "user_changed", "lak", "lak", {"name": "Lak"}, {"name": "New"}
    )
    listed = (await (await api.request("GET", "/me/sessions", two["token"])).json())["sessions"]
    (own,) = [found["id"] for found in listed if found["current"]]
    assert await act(api, "DELETE", f"/me/sessions/{own}", token) == told(
        "sessions_ended", "lak", "lak", None, {"session_id": own}
    )
    logout = await act(api, "POST", "/logout", json={"refresh_token": three["refresh_token"]})
    assert (logout["event"], logout["actor"], logout["target"]) == ("logged_out", "lak", "lak")
    wrong = {"current_password": "not my password", "new_password": OTHER}
    assert await act(api, "POST", "/me/password", token, json=wrong) == told("password_change_failed", "lak", "lak")
    changed = await act(api, "POST", "/me/password", token, json=wrong | {"current_password": PASSWORD})
    assert changed == told("password_changed", "lak", "lak", None, {"sessions_ended": 1})
    await api.log_in("lak", OTHER)
    assert await act(api, "DELETE", "/me/sessions", token) == told(
        "sessions_ended", "lak", "lak", None, {"sessions_ended": 1}
    )
    reset = await api.services.user_passwords.request_reset(await id_of(api, "lak"))
    body = {"reset_token": reset, "new_password": PASSWORD}
    # Whoever holds the token may be anybody.
    assert await act(api, "POST", "/password/reset", json=body) == told(
        "password_reset", None, "lak", None, {"sessions_ended": 1}
    )


async def test_a_stolen_refresh_token(api: Api) -> None:
    old = (await api.log_in("lak"))["refresh_token"]
    before = await api.services.audit.head()
    assert (await api.request("POST", "/refresh", json={"refresh_token": old})).status == 200
    # Refreshes are not recorded.
    assert await api.services.audit.head() == before
    api.clock.advance(31)
    done = await act(api, "POST", "/refresh", json={"refresh_token": old})
    assert (done["event"], done["actor"], done["target"]) == ("refresh_reused", None, "lak")


async def test_a_failed_login_tells_why_and_never_what_was_typed(api: Api) -> None:
    admin = await api.token("sahan")
    no_password = {"username": "noone", "name": "No", "role": "customer"}
    await api.request("POST", "/users", admin, json=no_password)

    async def failed(username: str, password: str) -> dict[str, Any]:
        return await act(api, "POST", "/login", json={"username": username, "password": password})

    typed = "my-password-in-the-wrong-field"
    for username in (typed, "with spaces", "x" * 300):
        assert await failed(username, "x") == told("login_failed", None, None, None, {"reason": "unknown user"})
    assert await failed("Lak", "x") == told("login_failed", None, "lak", None, {"reason": "wrong password"})
    assert await failed("noone", "x") == told("login_failed", None, "noone", None, {"reason": "no password"})
    await api.request("PATCH", f"/users/{await id_of(api, 'lak')}", admin, json={"disabled": True})
    assert await failed("lak", PASSWORD) == told("login_failed", None, "lak", None, {"reason": "disabled"})
    assert typed not in str(await api.services.repositories.audit.records_from(None, 1000))


async def test_no_secret_is_ever_in_a_record(api: Api) -> None:
    admin = await api.token("sahan")
    tokens = await api.log_in("lak")
    created = await api.request("POST", "/users", admin, json={"username": "new", "name": "N", "role": "customer"})
    reset = (await created.json())["reset_token"]
    await api.request("POST", "/password/reset", json={"reset_token": reset, "new_password": OTHER})
    await api.request("POST", "/login", json={"username": tokens["refresh_token"], "password": PASSWORD})
    change = {"current_password": PASSWORD, "new_password": OTHER}
    await api.request("POST", "/me/password", tokens["token"], json=change)
    await api.services.keys.rotate(at_once=True)
    await api.services.keys.revoke(api.services.keys.current.keyring.records[-2].kid)
    await api.services.keys.rewrap()
    text = str(await api.services.repositories.audit.records_from(None, 1000))
    assert "keys_rotated" in text
    assert "keys_revoked" in text
    assert "master_key_changed" in text
    for secret in (PASSWORD, OTHER, "$bcrypt", "wwr_", "wwp_", "eyJ", '"d"'):
        assert secret not in text
    for record in await api.services.repositories.keys.list_keys():
        assert record.sealed == b"" or record.sealed.hex() not in text


async def test_keys_tell_what_became_of_them(api: Api) -> None:
    first = (await api.services.repositories.audit.records_from(None, 1))[0]
    assert (first.event, first.via, first.before) == ("keys_rotated", "server", None)
    assert set(json.loads(first.after or "")) == {record.kid for record in api.services.keys.current.keyring.records}
    kid = api.services.keys.current.signing_key().kid
    await api.services.keys.revoke(kid)
    (event,) = await read(api, await api.token("sahan"), f"target={kid}")
    assert (event["event"], event["target_id"], event["before"][kid]["revoked_at"]) == ("keys_revoked", kid, None)
    assert event["after"][kid]["revoked_at"] is not None


async def test_keys_that_rotate_by_themselves_are_recorded(store_url: str) -> None:
    """Without the tasks in the background, which may do a part of the work at any moment and note it."""
    clock = FakeClock()
    async with open_services(settings_with(store_url), serving=True, clock=clock) as services:
        before = await services.audit.head()
        assert before is not None
        clock.advance(31 * 86_400)
        for _ in range(2):
            await services.keys.maintain(steady=True)
            records = await services.repositories.audit.records_from(before.seq + 1, 9)
            assert [(one.event, one.via, one.actor_name) for one in records] == [("keys_rotated", "server", None)]


async def test_pages_go_back_in_time_without_repeating(api: Api) -> None:
    token = await api.token("sahan")
    for _ in range(5):
        await api.request("POST", "/login", json={"username": "lak", "password": "x"})
    seen: list[int] = []
    cursor = ""
    while True:
        answer = await (await api.request("GET", f"/audit?limit=3{cursor}", token)).json()
        assert set(answer) == {"events", "next_cursor"}
        seen += [event["seq"] for event in answer["events"]]
        if answer["next_cursor"] is None:
            break
        # New records come before, not between.
        await api.request("POST", "/login", json={"username": "lak", "password": "x"})
        cursor = f"&cursor={answer['next_cursor']}"
    assert seen == list(range(seen[0], 0, -1))


async def test_filters_take_ids_and_names(api: Api) -> None:
    token = await api.token("sahan")
    lak = await id_of(api, "lak")
    await api.request("PATCH", f"/users/{lak}", token, json={"name": "L"})
    await api.token("lak")

    async def events(query: str) -> list[str]:
        return [event["event"] for event in await read(api, token, query)]

    of_lak = ["login_succeeded", "user_changed", "user_created"]
    assert await events("target=LAK") == await events(f"target={lak}") == of_lak
    assert await events(f"target={lak.upper()}") == await events(f"target={lak.title()}") == of_lak
    assert await events(f"actor={lak.upper()}") == ["login_succeeded"]
    assert await events("actor=sahan&target=lak") == ["user_changed"]
    assert await events(f"actor={lak}") == await events("actor=lak") == ["login_succeeded"]
    assert await events("event=user_changed") == ["user_changed"]
    assert await events("user=LAK") == await events(f"user={lak.upper()}") == of_lak
    assert await events("user=lak&actor=sahan") == ["user_changed"]
    assert await events("user=nobody") == await events("user=lak&actor=nobody") == []
    assert await events("actor=nobody") == await events(f"event=keys_revoked&actor={lak}") == []


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "cursor=x", "cursor=AAAA", "cursor=MA", "event=nothing", "event=", "actor=",
     "actor=a%0Ab", "target=%00", "page=2", "actor=a&actor=b", f"cursor={'9' * 90}", "user=", "user=a%00",
     "from=", "from=yesterday", "from=2026-11-24", "from=2026-11-24T08:00:00", "to=2026-13-24T08:00:00Z", "to=1",
     "from=2026-11-24T08:00:00+01:00", "from=0000-01-01T00:00:00Z", f"to={'9' * 5000}", "from_at=1", "to=%F0%9F%95%B0",
     "from=2026-11-24T08:00:00Z&to=2026-11-24T07:59:59.999Z",
     "from=2026-11-24T08:00:00Z&to=2026-11-24T08:59:59%2B01:00"],
)  # fmt: skip
async def test_a_wrong_query_is_refused(api: Api, query: str) -> None:
    response = await api.request("GET", f"/audit?{query}", await api.token("sahan"))
    await api.problem(response, 422, "invalid_request")


async def test_records_of_a_time(api: Api) -> None:
    await api.token("sahan")
    api.clock.advance(3600)
    begin = rfc3339(api.clock.now_ms())
    await api.request("POST", "/login", json={"username": "lak", "password": "x"})
    api.clock.advance(1)
    end = rfc3339(api.clock.now_ms())
    await api.request("POST", "/login", json={"username": "lak", "password": "x"})
    api.clock.advance(1)
    token = await api.token("sahan")
    last = rfc3339(api.clock.now_ms())

    async def found(query: str) -> list[str]:
        return [event["at"] for event in await read(api, token, query)]

    assert await found(f"from={begin}") == [last, end, begin]
    assert await found(f"from={begin}&to={end}&user=lak&event=login_failed") == [begin]
    assert await found(f"from={begin}&to={begin}") == await found(f"from={end}&to={last}&actor=sahan") == []
    assert await found("from=9999-12-31T23:59:59.999Z") == await found("to=0001-01-01T00:00:00Z") == []
    moved = begin.replace("Z", "%2B00:00")
    assert await found(f"from={moved}&limit=1") == [last]
    first = await (await api.request("GET", f"/audit?from={begin}&limit=1", token)).json()
    assert await found(f"from={begin}&cursor={first['next_cursor']}") == [end, begin]
    whole = await read(api, token)
    assert await found("to=9999-01-01T00:00:00Z") == [event["at"] for event in whole]


async def test_a_wrong_time_is_told_the_form(api: Api) -> None:
    query = "from=2026-11-24T08:00:00+01:00&to=now"
    response = await api.request("GET", f"/audit?{query}", await api.token("sahan"))
    errors = (await api.problem(response, 422, "invalid_request"))["errors"]
    assert [error["field"] for error in errors] == ["from", "to"]
    assert "%2B" in errors[0]["message"]


async def test_a_wrong_event_is_told_the_right_ones(api: Api) -> None:
    response = await api.request("GET", "/audit?event=nothing", await api.token("sahan"))
    (error,) = (await api.problem(response, 422, "invalid_request"))["errors"]
    assert error["field"] == "event"
    assert error["message"] == f"There is no such event. Events: {', '.join(AuditEvent)}."


async def test_only_admins_read_it(api: Api) -> None:
    await api.problem(await api.request("GET", "/audit", await api.token("lak")), 403, "insufficient_role")
    await api.problem(await api.request("GET", "/audit"), 401, "token_missing")


async def test_what_requests_did_makes_a_whole_log(api: Api) -> None:
    await api.token("sahan")
    await api.token("lak")
    verdict = await api.services.audit.verify()
    assert verdict.fault is None
    assert verdict.count >= 5


async def test_a_request_leaves_nobody_behind_for_the_next(api: Api) -> None:
    """Requests of one connection are answered by one task."""
    token = await api.token("sahan")
    await api.request("PATCH", "/me", token, json={"name": "S"})
    done = await act(api, "POST", "/login", json={"username": "lak", "password": "x"})
    assert done["actor"] is None
    assert (await api.services.user_passwords.request_reset(await id_of(api, "lak"))).startswith("wwp_")
    (event,) = await read(api, token, "limit=1")
    assert (event["via"], event["request_id"], event["actor_id"]) == ("server", None, None)


def test_every_event_has_its_row_in_the_docs() -> None:
    text = (ROOT / "docs" / "audit.md").read_text("utf-8")
    for event in AuditEvent:
        assert f"| `{event}` |" in text, event
