"""What asks for a recent sign-in, and what counts as one (RFC 9470)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from server.core.client import Client
from server.keys.signer import Signer
from server.routes import ROUTES
from server.sessions.repository import SessionRepository
from server.settings.tree import RoleSettings, default_roles
from tests.claims import claims_of
from tests.running import PASSWORD, Api, StartApi
from tests.sessions.refreshing import refresh, signed_in_long_ago
from watchword_client.claims import AccessClaims

RECENT, OLD = (200, ""), (401, "reauthentication_required")


async def ask(api: Api, token: str, method: str, path: str, **body: Any) -> tuple[int, str]:
    response = await api.request(method, path, token, json=body or None)
    return response.status, "" if response.ok else (await response.json())["code"]


async def reset(api: Api, token: str) -> tuple[int, str]:
    """A request that always asks for a recent sign-in; only an admin may send it."""
    return await ask(api, token, "POST", f"/users/{claims_of(token)['sub']}/password-reset")


async def made(api: Api, username: str, role: str, *, disabled: bool = False) -> str:
    """The path of a new user."""
    user = (await api.services.users.create(username, username, role, PASSWORD)).user
    if disabled:
        await api.services.users.update(user.id, disabled=True)
    return f"/users/{user.id}"


def test_a_route_that_asks_for_it_takes_a_token() -> None:
    asking = [route for route in ROUTES if route.recent]
    assert asking
    assert all(route.access.takes_token and not route.fixed for route in asking)


async def test_what_makes_or_unmakes_an_admin_asks_for_it_and_nothing_else_does(start_api: StartApi) -> None:
    owner = {"owner": RoleSettings(includes=("admin",)), "support": RoleSettings(includes=("customer",))}
    api = await start_api(roles=default_roles() | owner)
    token = (await signed_in_long_ago(api, "sahan"))["token"]
    customer, admin = await made(api, "one", "customer"), await made(api, "two", "admin")
    left, gone = await made(api, "three", "owner", disabled=True), await made(api, "four", "customer", disabled=True)
    for path, change, answer in (
        (customer, {"role": "support"}, RECENT),
        (customer, {"role": "admin"}, OLD),
        (customer, {"role": "owner", "name": "Boss"}, OLD),
        (customer, {"name": "New", "disabled": True}, RECENT),
        (customer, {"role": "nobody"}, (422, "invalid_request")),
        # Nothing changes, so nothing is dangerous.
        (admin, {"role": "admin"}, RECENT),
        (admin, {"role": "customer"}, OLD),
        (admin, {"role": "owner"}, OLD),
        (admin, {"name": "New", "disabled": False}, RECENT),
        # Whoever has the password of an account that was closed would be an admin.
        (left, {"disabled": False}, OLD),
        (left, {"name": "New", "disabled": True}, RECENT),
        (gone, {"disabled": False}, RECENT),
        (gone, {"disabled": False, "role": "admin"}, OLD),
        ("/users/01990000-0000-7000-8000-000000000009", {"role": "admin"}, (404, "not_found")),
    ):
        assert await ask(api, token, "PATCH", path, **change) == answer, (path, change)
    one = (await (await api.request("GET", customer, token)).json())["user"]
    assert (one["role"], one["name"], one["disabled"]) == ("support", "New", True)
    for role, answer in (("customer", (201, "")), ("admin", OLD), ("owner", OLD), ("nobody", (422, "invalid_request"))):
        new = {"username": f"new-{role}", "name": "New", "role": role}
        assert await ask(api, token, "POST", "/users", **new) == answer
    # To shut somebody out must be quick.
    assert await ask(api, token, "PATCH", admin, disabled=True) == RECENT
    # Whoever signs in anew may do all of it.
    token = await api.token("sahan")
    assert await ask(api, token, "PATCH", customer, role="owner") == RECENT
    assert await ask(api, token, "PATCH", left, disabled=False) == RECENT
    assert await ask(api, token, "POST", "/users", username="boss", name="Boss", role="owner") == (201, "")


async def test_a_role_that_the_settings_let_do_as_much_is_an_admin_role(start_api: StartApi) -> None:
    """Else a stolen token would give it to its thief, who then signs in and resets an admin's password."""
    roles = default_roles() | {name: RoleSettings(includes=("customer",)) for name in ("support", "reader")}
    access = {
        "POST /users/{user_id}/password-reset": ("support",),
        "GET /users": ("reader",),
        # About one's own account.
        "POST /me/password": ("reader", "support"),
    }
    api = await start_api(roles=roles, access=access)
    token = (await signed_in_long_ago(api, "sahan"))["token"]
    path = await made(api, "one", "customer")
    assert await ask(api, token, "PATCH", path, role="reader") == RECENT
    assert await ask(api, token, "PATCH", path, role="support") == OLD
    assert await ask(api, token, "POST", "/users", username="two", name="Two", role="support") == OLD


async def test_the_token_says_it_and_the_store_is_asked_only_if_that_is_too_old(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    read = SessionRepository.authenticated_at

    async def watched(self: SessionRepository, session_id: str) -> int | None:
        asked.append(session_id)
        return await read(self, session_id)

    monkeypatch.setattr(SessionRepository, "authenticated_at", watched)
    token = await api.token("sahan")
    path = await made(api, "one", "customer")
    assert await reset(api, token) == RECENT
    assert await ask(api, token, "PATCH", path, role="admin") == RECENT
    old = (await signed_in_long_ago(api, "sahan"))["token"]
    for method, other in (("GET", "/me"), ("GET", "/verify"), ("GET", "/users"), ("PATCH", path)):
        assert (await ask(api, old, method, other, **({"name": "x"} if method == "PATCH" else {})))[0] in {200, 204}
    assert asked == []
    assert await reset(api, old) == OLD
    assert asked == [claims_of(old)["sid"]]


@pytest.mark.parametrize("store_url", ["postgres"], indirect=True)
async def test_a_session_that_was_renewed_at_another_node_is_recent_here(start_api: StartApi) -> None:
    here, there = await start_api(), await start_api()
    old = await signed_in_long_ago(here, "sahan")
    there.clock.set_wall((here.clock.now_ms() - there.clock.now_ms()) / 1000)
    assert await reset(here, old["token"]) == OLD
    answer = await there.request("POST", "/reauthenticate", old["token"], json={"password": PASSWORD})
    assert answer.status == 200
    assert await reset(here, old["token"]) == RECENT
    assert await reset(here, (await answer.json())["token"]) == RECENT


def _by_an_older_node(api: Api, token: str) -> str:
    """The same token as a version makes it that does not know the two claims."""
    claims = {name: value for name, value in claims_of(token).items() if name not in {"auth_time", "amr"}}
    return Signer(api.services.keys.current).sign(AccessClaims.from_jwt(claims))


async def test_for_a_token_of_an_older_version_the_session_says_it(api: Api) -> None:
    old = (await signed_in_long_ago(api, "sahan"))["token"]
    assert await reset(api, _by_an_older_node(api, old)) == OLD
    token = _by_an_older_node(api, await api.token("sahan"))
    assert "auth_time" not in claims_of(token)
    assert await reset(api, token) == RECENT


async def test_a_session_of_an_older_version_was_opened_with_a_password(api: Api) -> None:
    """It leaves the new columns empty, and goes on beside this version during an upgrade."""
    for seconds, answer in ((600, RECENT), (601, OLD)):
        session_id = claims_of((await signed_in_long_ago(api, "sahan", seconds))["token"])["sid"]
        sql = "UPDATE sessions SET authenticated_at = NULL, amr = NULL WHERE id = $1 RETURNING created_at"
        (row,) = await api.services.repositories.driver.write_one(sql, session_id)
        found = await api.services.repositories.sessions.get_session(session_id)
        assert found is not None
        assert (found.session.authenticated_at, found.session.amr) == (row["created_at"], ("pwd",))
        step = await api.services.repositories.sessions.step_session(session_id, 1, api.clock.now_ms(), None)
        assert step is not None
        assert step.session == replace(found.session, step=2, stepped_at=api.clock.now_ms())
        token = api.services.sessions._issuer.issue(step, api.clock.now_ms()).access_token
        assert await reset(api, token) == answer


@pytest.mark.parametrize(("ahead", "answer"), [(60, RECENT), (61, OLD)])
async def test_a_time_that_is_far_ahead_says_nothing(api: Api, ahead: int, answer: tuple[int, str]) -> None:
    """The clock was ahead when the user signed in, and was set right since."""
    token = (await signed_in_long_ago(api, "sahan", -ahead))["token"]
    assert await reset(api, token) == answer
    assert await ask(api, token, "GET", "/me") == RECENT
    assert await ask(api, token, "POST", "/reauthenticate", password=PASSWORD) == RECENT
    assert await reset(api, token) == RECENT


async def test_a_time_that_was_years_ahead_is_never_recent_by_itself(api: Api) -> None:
    """What repairs the lives of such sessions does not know when their users have signed in."""
    years = 2 * 365 * 86_400
    api.clock.set_wall(years)
    answer = await api.log_in("sahan")
    api.clock.set_wall(-years)
    await api.services.sessions.repair_future_times()
    token = (await refresh(api, answer["refresh_token"]))["token"]
    assert await reset(api, token) == OLD
    assert await ask(api, token, "POST", "/reauthenticate", password=PASSWORD) == RECENT
    assert await reset(api, token) == RECENT


async def test_the_methods_of_a_sign_in_are_kept_as_they_were_proved(api: Api) -> None:
    """RFC 8176 has more of them than this version proves."""
    client = Client("192.0.2.1", "test")
    async with api.services.authentication.log_in("lak", PASSWORD, client.ip) as proved:
        tokens = await api.services.sessions.open(replace(proved, methods=("pwd", "otp", "mfa")), client)
    assert claims_of(tokens.access_token)["amr"] == ["pwd", "otp", "mfa"]
    answer = await refresh(api, tokens.refresh_token)
    assert claims_of(answer["token"])["amr"] == ["pwd", "otp", "mfa"]
    (session,) = (await (await api.request("GET", "/me/sessions", answer["token"])).json())["sessions"]
    assert session["amr"] == ["pwd", "otp", "mfa"]
