"""Accounts over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from server.core.errors import InvalidRequest
from tests.running import PASSWORD, Api

NEW_USER = {"username": "Pasindu@example.com", "name": "Pasindu", "role": "customer", "password": PASSWORD}


async def test_admin_makes_a_user_who_can_log_in(api: Api) -> None:
    token = await api.token("sahan")
    response = await api.request("POST", "/users", token, json=NEW_USER)
    body = await response.json()
    assert (response.status, set(body)) == (201, {"user"})
    assert response.headers["Location"] == f"/users/{body['user']['id']}"
    assert response.headers["Cache-Control"] == "no-store"
    assert body["user"]["last_login_at"] is None
    assert (await api.log_in("pasindu@EXAMPLE.com"))["token"]
    read = await (await api.request("GET", response.headers["Location"], token)).json()
    assert read["user"]["last_login_at"] is not None


async def test_a_username_is_taken_whatever_its_case(api: Api) -> None:
    token = await api.token("sahan")
    response = await api.request("POST", "/users", token, json=NEW_USER | {"username": "LAK"})
    await api.problem(response, 409, "username_taken")


@pytest.mark.parametrize(
    ("given", "shown", "others"),
    [
        ("\uff2c\uff41\uff4bi", "Laki", ["laki", "LAKI", "\uff4caki"]),
        ("E\u0301mile", "\u00c9mile", ["\u00e9mile", "e\u0301MILE"]),
        ("Иван", "Иван", ["иван", "ИВАН"]),
        ("山田太郎", "山田太郎", ["山田太郎"]),
    ],
)
async def test_a_username_is_one_however_it_is_written(api: Api, given: str, shown: str, others: list[str]) -> None:
    token = await api.token("sahan")
    made = await api.request("POST", "/users", token, json=NEW_USER | {"username": given})
    assert (await made.json())["user"]["username"] == shown
    for other in [given, *others]:
        tokens = await api.log_in(other)
        me = await (await api.request("GET", "/me", tokens["token"])).json()
        assert me["user"]["username"] == shown
        again = await api.request("POST", "/users", token, json=NEW_USER | {"username": other})
        await api.problem(again, 409, "username_taken")
        page = await (await api.request("GET", "/users", token, params={"q": other})).json()
        assert [user["username"] for user in page["users"]] == [shown]


@pytest.mark.parametrize(
    ("username", "message"),
    [
        ("two words", "Spaces are not allowed."),
        ("", "Give a name."),
        ("a\r\nSet-Cookie:x", "Control characters and line breaks are not allowed."),
        ("p\u0430ypal", "Use letters of one script: these have letters that look alike."),
        ("x" * 129, "Use at most 128 characters."),
    ],
)
async def test_a_username_that_can_not_be_says_why(api: Api, username: str, message: str) -> None:
    response = await api.request("POST", "/users", await api.token("sahan"), json=NEW_USER | {"username": username})
    problem = await api.problem(response, 422, "invalid_request")
    assert problem["errors"] == [{"field": "username", "message": message}]
    login = await api.request("POST", "/login", json={"username": username, "password": PASSWORD})
    await api.problem(login, 400, "invalid_credentials")


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("pasindu pasindu!", "own names"),
        ("my-api my-api my-api", "own names"),
        ("Liverpool Football Club", "common and leaked"),
        ("mary mary mary mary", "repetitions"),
    ],
)
async def test_a_weak_password_is_refused_with_the_reason_wherever_one_is_set(
    api: Api, password: str, message: str
) -> None:
    admin = await api.token("sahan")
    new = await api.request("POST", "/users", admin, json=NEW_USER | {"password": password})
    user = await api.services.users.create("pasindu", "Pasindu", "customer", PASSWORD)
    own = await api.token("pasindu")
    change = {"current_password": PASSWORD, "new_password": password}
    changed = await api.request("POST", "/me/password", own, json=change)
    reset_token = await api.services.user_passwords.request_reset(user.user.id)
    reset = await api.request("POST", "/password/reset", json={"reset_token": reset_token, "new_password": password})
    for response, field in ((new, "password"), (changed, "new_password"), (reset, "new_password")):
        problem = await api.problem(response, 422, "invalid_request")
        assert [error["field"] for error in problem["errors"]] == [field]
        assert message in problem["errors"][0]["message"]
        assert password not in await response.text()
    with pytest.raises(InvalidRequest):
        await api.services.user_passwords.replace(await api.services.users.credentials_of("pasindu"), password)


async def test_who_does_not_know_the_current_password_learns_nothing_of_the_new_one(api: Api) -> None:
    change = {"current_password": "x", "new_password": "short"}
    response = await api.request("POST", "/me/password", await api.token("lak"), json=change)
    await api.problem(response, 400, "invalid_credentials")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"username": "two words"}, "username"),
        ({"username": ""}, "username"),
        ({"username": 5}, "username"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"role": "emperor"}, "role"),
        ({"password": "short"}, "password"),
        ({"password": ["x"]}, "password"),
        ({"admin": True}, "admin"),
    ],
)
async def test_a_wrong_or_unknown_field_is_named(api: Api, change: dict[str, Any], field: str) -> None:
    response = await api.request("POST", "/users", await api.token("sahan"), json=NEW_USER | change)
    problem = await api.problem(response, 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == [field]


async def test_a_missing_field_is_named(api: Api) -> None:
    response = await api.request("POST", "/users", await api.token("sahan"), json={"username": "x"})
    problem = await api.problem(response, 422, "invalid_request")
    assert {error["field"] for error in problem["errors"]} == {"name", "role"}


async def test_a_user_without_password_sets_one_with_the_reset_token_once(api: Api) -> None:
    wanted = {key: value for key, value in NEW_USER.items() if key != "password"}
    created = await (await api.request("POST", "/users", await api.token("sahan"), json=wanted)).json()
    reset = {"reset_token": created["reset_token"], "new_password": "a password of my own"}
    refused = await api.request("POST", "/login", json={"username": wanted["username"], "password": ""})
    await api.problem(refused, 400, "invalid_credentials")
    weak = await api.request("POST", "/password/reset", json=reset | {"new_password": "short"})
    assert (await api.problem(weak, 422, "invalid_request"))["errors"][0]["field"] == "new_password"
    assert (await api.request("POST", "/password/reset", json=reset)).status == 204
    assert (await api.log_in(wanted["username"], reset["new_password"]))["token"]
    await api.problem(await api.request("POST", "/password/reset", json=reset), 400, "reset_invalid")


async def test_a_reset_token_expires_and_can_not_be_made_up(api: Api) -> None:
    wanted = {key: value for key, value in NEW_USER.items() if key != "password"}
    created = await (await api.request("POST", "/users", await api.token("sahan"), json=wanted)).json()
    token = created["reset_token"]
    api.clock.advance(86400)
    for bad in (token, token[:-1], "wwp_" + "A" * 86, "wwp_", "x"):
        response = await api.request("POST", "/password/reset", json={"reset_token": bad, "new_password": PASSWORD})
        await api.problem(response, 400, "reset_invalid")


async def test_two_uses_of_one_reset_token_at_once_set_one_password(api: Api) -> None:
    wanted = {key: value for key, value in NEW_USER.items() if key != "password"}
    created = await (await api.request("POST", "/users", await api.token("sahan"), json=wanted)).json()
    bodies = [
        {"reset_token": created["reset_token"], "new_password": f"otters juggle {number} turnips"}
        for number in range(6)
    ]
    responses = await asyncio.gather(*(api.request("POST", "/password/reset", json=body) for body in bodies))
    assert sorted(response.status for response in responses) == [204, 400, 400, 400, 400, 400]
    winner = bodies[[response.status for response in responses].index(204)]
    assert (await api.log_in(wanted["username"], winner["new_password"]))["token"]


async def test_pages_neither_repeat_nor_skip_while_users_are_added(api: Api) -> None:
    token = await api.token("sahan")
    for number in range(7):
        api.clock.advance(1)
        await api.services.users.create(f"early{number}", "Early", "customer", None)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        path = "/users?limit=3" + (f"&cursor={cursor}" if cursor else "")
        page = await (await api.request("GET", path, token)).json()
        seen += [user["username"] for user in page["users"]]
        assert len(page["users"]) <= 3
        cursor = page["next_cursor"]
        if cursor is None:
            break
        if len(seen) < 12:
            api.clock.advance(1)
            await api.services.users.create(f"late{len(seen)}", "Late", "customer", None)
    assert len(seen) == len(set(seen))
    assert {"sahan", "lak", *(f"early{number}" for number in range(7))} <= set(seen)


async def test_filters(api: Api) -> None:
    token = await api.token("sahan")
    await api.services.users.create("under_score", "100% Łukasz", "customer", None)

    async def names(query: str) -> list[str]:
        page = await (await api.request("GET", f"/users?{query}", token)).json()
        return [user["username"] for user in page["users"]]

    assert await names("q=SAH") == ["sahan"]
    assert await names("q=łuk") == ["under_score"]
    assert await names("q=%25") == ["under_score"]
    assert await names("q=_") == ["under_score"]
    assert await names("role=admin") == ["sahan"]
    assert await names("role=admin&q=lak") == []
    assert await names("disabled=true") == []
    assert len(await names("disabled=false")) == 3


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "limit=1&limit=2", "cursor=x", "cursor=AAAA", "q=", "page=2", "disabled=maybe",
     "q=%00", "limit=%F0", "limit=%D9%A1", "limit=-1", "limit=+5"],
)  # fmt: skip
async def test_a_wrong_query_is_refused(api: Api, query: str) -> None:
    response = await api.request("GET", f"/users?{query}", await api.token("sahan"))
    await api.problem(response, 422, "invalid_request")


@pytest.mark.parametrize("user_id", ["1", "x" * 500, "00000000-0000-0000-0000-000000000000", "%00", "%FF", "a%2Fb"])
async def test_an_unknown_user_is_not_found(api: Api, user_id: str) -> None:
    await api.problem(await api.request("GET", f"/users/{user_id}", await api.token("sahan")), 404, "not_found")


async def test_users_change_their_own_name_and_nothing_else(api: Api) -> None:
    token = await api.token("lak")
    changed = await (await api.request("PATCH", "/me", token, json={"name": "Lakindu"})).json()
    assert changed["user"]["name"] == "Lakindu"
    assert (await (await api.request("GET", "/me", token)).json())["user"] == changed["user"]


@pytest.mark.parametrize(
    "field",
    [
        "id",
        "username",
        "role",
        "disabled",
        "created_at",
        "updated_at",
        "last_login_at",
        "password",
        "disabled_at",
        "Name",
    ],
)
async def test_what_is_not_theirs_users_do_not_change_also_beside_their_name(api: Api, field: str) -> None:
    """Neither to another value nor to the one it has."""
    token = await api.token("lak")
    before = (await (await api.request("GET", "/me", token)).json())["user"]
    others = {"role": "admin", "disabled": True, "id": str(api.services.ids.new_id()), "username": "sahan"}
    for value in (others.get(field, "brown otters"), before.get(field), None):
        for change in ({field: value}, {"name": "L", field: value}):
            problem = await api.problem(await api.request("PATCH", "/me", token, json=change), 422, "invalid_request")
            assert field in {error["field"] for error in problem["errors"]}
    assert (await (await api.request("GET", "/me", token)).json())["user"] == before
    assert (await api.log_in("lak"))["token"]
