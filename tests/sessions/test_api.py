"""What ends which session, and what an access token of it is worth then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from server.background import PURGE_DELAY_MS, purge
from server.sessions.model import MEMORY_MS
from tests.claims import claims_of
from tests.records import all_revocations, change_user
from tests.running import PASSWORD, Api
from tests.sessions.refreshing import is_alive, refresh, refused

NEW_PASSWORD = "another horse, another battery"


async def user_id(api: Api, username: str) -> str:
    found = await api.services.repositories.users.find_credentials(username)
    assert found is not None
    return found.user.id


async def log_out_by_bearer(api: Api, answer: dict[str, Any]) -> int:
    return (await api.request("POST", "/logout", answer["token"])).status


async def log_out_by_refresh_token(api: Api, answer: dict[str, Any]) -> int:
    return (await api.request("POST", "/logout", json={"refresh_token": answer["refresh_token"]})).status


async def end_own_session(api: Api, answer: dict[str, Any]) -> int:
    path = f"/me/sessions/{claims_of(answer['token'])['sid']}"
    return (await api.request("DELETE", path, await api.token("lak"))).status


async def end_own_other_sessions(api: Api, answer: dict[str, Any]) -> int:
    return (await api.request("DELETE", "/me/sessions", await api.token("lak"))).status


async def change_own_password_elsewhere(api: Api, answer: dict[str, Any]) -> int:
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    return (await api.request("POST", "/me/password", await api.token("lak"), json=body)).status


async def reset_password(api: Api, answer: dict[str, Any]) -> int:
    path = f"/users/{await user_id(api, 'lak')}/password-reset"
    reset = await (await api.request("POST", path, await api.token("sahan"))).json()
    assert set(reset) == {"reset_token", "expires_in"}
    body = {"reset_token": reset["reset_token"], "new_password": NEW_PASSWORD}
    return (await api.request("POST", "/password/reset", json=body)).status


async def end_as_admin(api: Api, answer: dict[str, Any]) -> int:
    path = f"/users/{await user_id(api, 'lak')}/sessions"
    return (await api.request("DELETE", path, await api.token("sahan"))).status


async def disable(api: Api, answer: dict[str, Any]) -> int:
    path = f"/users/{await user_id(api, 'lak')}"
    response = await api.request("PATCH", path, await api.token("sahan"), json={"disabled": True})
    return 204 if (await response.json())["user"]["disabled"] is True else response.status


async def delete(api: Api, answer: dict[str, Any]) -> int:
    path = f"/users/{await user_id(api, 'lak')}"
    return (await api.request("DELETE", path, await api.token("sahan"))).status


ENDS = [
    log_out_by_bearer,
    log_out_by_refresh_token,
    end_own_session,
    end_own_other_sessions,
    change_own_password_elsewhere,
    reset_password,
    end_as_admin,
    disable,
    delete,
]


@pytest.mark.parametrize("end", ENDS)
async def test_every_end_reaches_all_tokens_at_once(
    api: Api, end: Callable[[Api, dict[str, Any]], Awaitable[int]]
) -> None:
    answer = await api.log_in("lak")
    assert await is_alive(api, answer["token"])  # and is remembered as verified
    assert await end(api, answer) == 204
    assert not await is_alive(api, answer["token"])
    await refused(api, answer["refresh_token"], "refresh_invalid")
    # The admin is not concerned.
    assert (await api.request("GET", "/users", await api.token("sahan"))).status == 200


async def test_who_was_disabled_is_told_so_by_the_last_refresh_token(api: Api) -> None:
    """Who was signed out for another reason is not, and who comes with an older token neither."""
    old = await api.log_in("lak")
    newest, other = await refresh(api, old["refresh_token"]), await api.log_in("lak")
    assert await log_out_by_bearer(api, other) == 204
    ended = await api.request("POST", "/refresh", json={"refresh_token": other["refresh_token"]})
    assert "reason" not in await api.problem(ended, 401, "refresh_invalid")
    assert await disable(api, newest) == 204
    told = await api.request("POST", "/refresh", json={"refresh_token": newest["refresh_token"]})
    assert (await api.problem(told, 401, "refresh_invalid"))["reason"] == "user_disabled"
    forged = await api.request("POST", "/refresh", json={"refresh_token": f"{newest['refresh_token'][:-4]}AAAA"})
    assert "reason" not in await api.problem(forged, 401, "refresh_invalid")


async def test_a_logout_ends_only_its_own_session(api: Api) -> None:
    one, two = await api.log_in("lak"), await api.log_in("lak")
    assert await log_out_by_bearer(api, one) == 204
    assert not await is_alive(api, one["token"])
    assert await is_alive(api, two["token"])
    await refresh(api, two["refresh_token"])


async def test_logging_out_twice_is_no_failure_with_the_refresh_token(api: Api) -> None:
    answer = await api.log_in("lak")
    assert await log_out_by_refresh_token(api, answer) == 204
    assert await log_out_by_refresh_token(api, answer) == 204
    await api.problem(await api.request("POST", "/logout", answer["token"]), 401, "token_revoked")


async def test_an_old_refresh_token_still_logs_out(api: Api) -> None:
    """Whoever wants the session to end, owner or thief, may have that."""
    first = await api.log_in("lak")
    second = await refresh(api, first["refresh_token"])
    assert await log_out_by_refresh_token(api, first) == 204
    assert not await is_alive(api, second["token"])


async def test_a_token_whose_role_is_out_of_date_still_logs_out(api: Api) -> None:
    answer = await api.log_in("lak")
    path, admin = f"/users/{await user_id(api, 'lak')}", await api.token("sahan")
    await api.request("PATCH", path, admin, json={"role": "admin"})
    assert not await is_alive(api, answer["token"])
    assert await log_out_by_bearer(api, answer) == 204
    await refused(api, answer["refresh_token"], "refresh_invalid")


async def test_a_token_that_knows_more_than_this_process_is_not_refused(api: Api) -> None:
    """Another node has changed the role and issued the token, and word of the change is still on its way."""
    answer = await api.log_in("lak")
    path, admin = f"/users/{await user_id(api, 'lak')}", await api.token("sahan")
    await api.request("PATCH", path, admin, json={"role": "admin"})
    now = api.clock.now_ms()
    await change_user(api.services.repositories, await user_id(api, "lak"), now, role="customer")
    assert await is_alive(api, (await refresh(api, answer["refresh_token"]))["token"])


async def test_a_change_that_changes_nothing_is_none(api: Api) -> None:
    path, admin = f"/users/{await user_id(api, 'lak')}", await api.token("sahan")
    before = await (await api.request("GET", path, admin)).json()
    api.clock.advance(10)
    same = {key: before["user"][key] for key in ("name", "role", "disabled")}
    response = await api.request("PATCH", path, admin, json=same)
    assert (response.status, await response.json()) == (200, before)
    assert await (await api.request("GET", path, admin)).json() == before


async def test_a_logout_without_anything(api: Api) -> None:
    await api.problem(await api.request("POST", "/logout"), 401, "token_missing")
    await api.problem(await api.request("POST", "/logout", json={"refresh_token": "x"}), 401, "refresh_invalid")
    await api.problem(await api.request("POST", "/logout", "x"), 401, "token_invalid")


async def test_the_list_of_own_sessions(api: Api) -> None:
    headers = {"User-Agent": "a browser"}
    body = {"username": "lak", "password": PASSWORD}
    first = await (await api.request("POST", "/login", json=body, headers=headers)).json()
    api.clock.advance(10)
    second = await api.log_in("lak")
    api.clock.advance(10)
    await refresh(api, first["refresh_token"])
    listed = (await (await api.request("GET", "/me/sessions", second["token"])).json())["sessions"]
    assert [session["id"] for session in listed] == [claims_of(a["token"])["sid"] for a in (second, first)]
    assert [session["current"] for session in listed] == [True, False]
    older = listed[1]
    assert set(older) == {
        "id", "created_at", "last_used_at", "expires_at", "ip", "user_agent", "auth_time", "amr", "current"
    }  # fmt: skip
    assert (older["auth_time"], older["amr"]) == (older["created_at"], ["pwd"])
    assert (older["ip"], older["user_agent"]) == ("127.0.0.1", "a browser")
    assert older["created_at"] < listed[0]["created_at"] < older["last_used_at"] < older["expires_at"]
    seen = await (
        await api.request("GET", f"/users/{await user_id(api, 'lak')}/sessions", await api.token("sahan"))
    ).json()
    assert [session["id"] for session in seen["sessions"]] == [session["id"] for session in listed]
    assert not any(session["current"] for session in seen["sessions"])


async def test_nobody_ends_or_sees_a_session_of_somebody_else(api: Api) -> None:
    sahan = await api.log_in("sahan")
    lak = await api.token("lak")
    path = f"/me/sessions/{claims_of(sahan['token'])['sid']}"
    await api.problem(await api.request("DELETE", path, lak), 404, "not_found")
    await api.problem(await api.request("DELETE", "/me/sessions/nonsense", lak), 404, "not_found")
    assert await is_alive(api, sahan["token"])
    listed = await (await api.request("GET", "/me/sessions", lak)).json()
    assert [session["id"] for session in listed["sessions"]] == [claims_of(lak)["sid"]]


async def test_a_password_change_keeps_the_session_that_made_it(api: Api) -> None:
    here, elsewhere = await api.log_in("lak"), await api.log_in("lak")
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert (await api.request("POST", "/me/password", here["token"], json=body)).status == 204
    assert await is_alive(api, here["token"])
    await refresh(api, here["refresh_token"])
    assert not await is_alive(api, elsewhere["token"])
    await api.problem(
        await api.request("POST", "/login", json={"username": "lak", "password": PASSWORD}), 400, "invalid_credentials"
    )
    assert (await api.log_in("lak", NEW_PASSWORD))["token"]


@pytest.mark.parametrize(
    ("current", "new", "status", "code"),
    [("wrong", NEW_PASSWORD, 400, "invalid_credentials"), (PASSWORD, "short", 422, "invalid_request")],
)
async def test_a_password_change_that_is_refused_ends_nothing(
    api: Api, current: str, new: str, status: int, code: str
) -> None:
    here, elsewhere = await api.log_in("lak"), await api.log_in("lak")
    body = {"current_password": current, "new_password": new}
    await api.problem(await api.request("POST", "/me/password", here["token"], json=body), status, code)
    assert await is_alive(api, elsewhere["token"])
    assert (await api.log_in("lak"))["token"]


async def test_a_reset_token_works_once(api: Api) -> None:
    path = f"/users/{await user_id(api, 'lak')}/password-reset"
    reset = await (await api.request("POST", path, await api.token("sahan"))).json()
    body = {"reset_token": reset["reset_token"], "new_password": NEW_PASSWORD}
    assert (await api.request("POST", "/password/reset", json=body)).status == 204
    await api.problem(await api.request("POST", "/password/reset", json=body), 400, "reset_invalid")


async def test_a_reset_token_expires(api: Api) -> None:
    path = f"/users/{await user_id(api, 'lak')}/password-reset"
    reset = await (await api.request("POST", path, await api.token("sahan"))).json()
    api.clock.advance(reset["expires_in"])
    body = {"reset_token": reset["reset_token"], "new_password": NEW_PASSWORD}
    await api.problem(await api.request("POST", "/password/reset", json=body), 400, "reset_invalid")


async def test_admins_change_users_and_not_themselves_away(api: Api) -> None:
    answer = await api.log_in("sahan")
    path = f"/users/{await user_id(api, 'sahan')}"
    for body in ({"role": "customer"}, {"disabled": True}):
        await api.problem(await api.request("PATCH", path, answer["token"], json=body), 409, "last_admin")
    await api.problem(await api.request("DELETE", path, answer["token"]), 409, "last_admin")
    assert await is_alive(api, answer["token"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"role": "king"}, "role"),
        ({"username": "two words"}, "username"),
        ({"disabled": "yes"}, "disabled"),
        ({"name": ""}, "name"),
    ],
)
async def test_a_change_that_is_refused_changes_nothing(api: Api, body: dict[str, Any], field: str) -> None:
    path = f"/users/{await user_id(api, 'lak')}"
    token = await api.token("sahan")
    before = await (await api.request("GET", path, token)).json()
    problem = await api.problem(await api.request("PATCH", path, token, json=body), 422, "invalid_request")
    assert problem["errors"][0]["field"] == field
    assert await (await api.request("GET", path, token)).json() == before


async def test_what_is_not_there_is_404(api: Api) -> None:
    token = await api.token("sahan")
    missing = "/users/00000000-0000-7000-8000-000000000000"
    for method, path in (
        ("PATCH", missing),
        ("DELETE", missing),
        ("GET", f"{missing}/sessions"),
        ("DELETE", f"{missing}/sessions"),
        ("POST", f"{missing}/password-reset"),
        ("DELETE", "/users/nonsense"),
    ):
        body = {"json": {"name": "X"}} if method == "PATCH" else {}
        await api.problem(await api.request(method, path, token, **body), 404, "not_found")


async def test_ids_in_paths_are_found_in_any_case(api: Api) -> None:
    """RFC 9562 section 4."""
    token = await api.token("sahan")
    user = f"/users/{(await user_id(api, 'lak')).upper()}"
    session = await api.log_in("lak")
    body = await (await api.request("GET", f"{user}/sessions", token)).json()
    own = f"/me/sessions/{body['sessions'][0]['id'].upper()}"
    for method, path, bearer, status in (
        ("GET", user, token, 200),
        ("PATCH", user, token, 200),
        ("POST", f"{user}/password-reset", token, 200),
        ("DELETE", own, session["token"], 204),
        ("DELETE", f"{user}/sessions", token, 204),
        ("DELETE", user, token, 204),
    ):
        sent = {"json": {"name": "L"}} if method == "PATCH" else {}
        response = await api.request(method, path, bearer, **sent)
        assert response.status == status, (method, path)
    await api.problem(await api.request("GET", "/me", session["token"]), 401, "token_revoked")
    await api.problem(await api.request("GET", user, token), 404, "not_found")


async def test_a_role_that_comes_back_does_not_bring_its_old_tokens_back(api: Api) -> None:
    """Nothing revoked ever comes back; and the next refresh always helps, though the clock stands still."""
    answer = await api.log_in("lak")
    path, token = f"/users/{await user_id(api, 'lak')}", await api.token("sahan")
    dead = []
    for role in ("admin", "customer", "admin", "customer"):
        await api.request("PATCH", path, token, json={"role": role})
        dead.append(answer["token"])
        assert [await is_alive(api, old) for old in dead] == [False] * len(dead)
        answer = await refresh(api, answer["refresh_token"])
        assert claims_of(answer["token"])["role"] == role
        assert await is_alive(api, answer["token"])


async def test_the_store_does_not_grow_with_refreshes_and_is_purged(api: Api) -> None:
    answer = await api.log_in("lak")
    session_id = claims_of(answer["token"])["sid"]
    for _ in range(5):
        answer = await refresh(api, answer["refresh_token"])
    store = api.services.repositories
    assert len(await store.sessions.list_sessions(await user_id(api, "lak"), api.clock.now_ms())) == 1
    await log_out_by_refresh_token(api, answer)
    await purge(store, api.clock)
    assert await store.sessions.get_session(session_id) is not None
    api.clock.advance(PURGE_DELAY_MS / 1000)
    await purge(store, api.clock)
    assert await store.sessions.get_session(session_id) is None
    api.clock.advance((MEMORY_MS - PURGE_DELAY_MS) / 1000)
    await purge(store, api.clock)
    assert await all_revocations(store) == []
    await refused(api, answer["refresh_token"], "refresh_invalid")


async def test_a_purge_of_many_takes_all_of_them(api: Api) -> None:
    for _ in range(7):
        await api.log_in("lak")
    api.clock.advance(api.services.settings.sessions.idle_ttl_seconds + PURGE_DELAY_MS / 1000)
    alive = await api.log_in("lak")
    await purge(api.services.repositories, api.clock)
    listed = await api.services.repositories.sessions.list_sessions(await user_id(api, "lak"), 0)
    assert [session.id for session in listed] == [claims_of(alive["token"])["sid"]]
