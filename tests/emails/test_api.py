"""Addresses over HTTP: signing in with one, changes by admins, one's own."""

from __future__ import annotations

from typing import Any

import pytest

from server.authentication.attempts import wait_after
from server.sessions.cookies import DEVICE_COOKIE
from tests.running import PASSWORD, Api

WRONG = "not the password of anybody"


async def user_named(api: Api, username: str) -> dict[str, Any]:
    response = await api.request("GET", f"/users?q={username}", await api.token("sahan"))
    (found,) = (await response.json())["users"]
    assert found["username"] == username
    user: dict[str, Any] = found
    return user


async def change(api: Api, user_id: str, **fields: object) -> dict[str, Any]:
    response = await api.request("PATCH", f"/users/{user_id}", await api.token("sahan"), json=fields)
    assert response.status == 200, await response.text()
    user: dict[str, Any] = (await response.json())["user"]
    return user


@pytest.fixture
async def lak(api: Api) -> dict[str, Any]:
    """A user with the address lak@example.com."""
    return await change(api, (await user_named(api, "lak"))["id"], email="Lak@Example.com")


async def test_an_admin_gives_an_address_and_its_user_signs_in_with_it(api: Api, lak: dict[str, Any]) -> None:
    assert (lak["email"], lak["email_verified"]) == ("Lak@example.com", True)
    token = await api.token("lak@EXAMPLE.com")
    me = (await (await api.request("GET", "/me", token)).json())["user"]
    assert me == lak | {"last_login_at": me["last_login_at"]}
    # What is absent stays.
    assert (await change(api, lak["id"], name="Lak P."))["email"] == "Lak@example.com"
    gone = await change(api, lak["id"], email=None)
    assert (gone["email"], gone["email_verified"]) == (None, False)
    for name in ("lak@example.com", "nobody@example.com"):
        response = await api.request("POST", "/login", json={"username": name, "password": PASSWORD})
        await api.problem(response, 400, "invalid_credentials")


async def test_a_user_is_made_with_an_address(api: Api) -> None:
    token = await api.token("sahan")
    body = {"username": "john", "name": "John", "role": "customer", "email": "john@example.com", "password": PASSWORD}
    response = await api.request("POST", "/users", token, json=body)
    assert response.status == 201
    user = (await response.json())["user"]
    assert (user["email"], user["email_verified"]) == ("john@example.com", True)
    assert await api.token("john@example.com")
    taken = await api.request("POST", "/users", token, json=body | {"username": "other", "email": "JOHN@example.com"})
    await api.problem(taken, 409, "email_taken")
    taken = await api.request("POST", "/users", token, json=body | {"username": "John@Example.com", "email": None})
    await api.problem(taken, 409, "username_taken")


@pytest.mark.parametrize(
    "email",
    [
        "", "lak", "lak@", "a@b@example.com", '"a b"@example.com', "a\0@example.com", "a\n@example.com",
        "p\u0430ypal@example.com", "a" * 243 + "@example.com", 5, ["a@example.com"], True,
    ],
)  # fmt: skip
async def test_what_is_no_address_is_refused_and_nothing_changes(api: Api, email: object) -> None:
    before = await user_named(api, "lak")
    token = await api.token("sahan")
    for method, path, body in (
        ("PATCH", f"/users/{before['id']}", {"name": "New", "username": "new"}),
        ("POST", "/users", {"username": "new", "name": "New", "role": "customer"}),
    ):
        response = await api.request(method, path, token, json=body | {"email": email})
        problem = await api.problem(response, 422, "invalid_request")
        assert [error["field"] for error in problem["errors"]] == ["email"]
    assert await user_named(api, "lak") == before


async def test_names_and_address_change_together_or_not_at_all(api: Api) -> None:
    before = await user_named(api, "lak")
    path, token = f"/users/{before['id']}", await api.token("sahan")
    await api.services.users.create("john", "John", "customer", PASSWORD, "john@example.com")
    for body, code in (
        ({"username": "new", "email": "john@example.com"}, "email_taken"),
        ({"username": "SAHAN", "email": "new@example.com"}, "username_taken"),
        ({"username": "john@example.com", "name": "New"}, "username_taken"),
    ):
        await api.problem(await api.request("PATCH", path, token, json=body), 409, code)
    assert await user_named(api, "lak") == before
    session = await api.log_in("lak")
    changed = await change(api, before["id"], username="Lakmoore", email="lak@example.com", name="Lak M.")
    assert (changed["username"], changed["email"], changed["name"]) == ("Lakmoore", "lak@example.com", "Lak M.")
    # The session goes on, and the next token has the new name.
    renewed = await api.request("POST", "/refresh", json={"refresh_token": session["refresh_token"]})
    verified = await api.request("GET", "/verify", (await renewed.json())["token"])
    assert verified.headers["X-Auth-Username"] == "Lakmoore"
    events = (await (await api.request("GET", f"/audit?target={before['id']}&limit=2", token)).json())["events"]
    assert [(event["event"], event["target_name"], event["after"]) for event in events] == [
        ("user_changed", "lak", {"name": "Lak M.", "email": "lak@example.com", "email_verified": True}),
        ("user_renamed", "lak", {"username": "Lakmoore"}),
    ]


async def test_a_change_of_the_address_asks_for_a_recent_sign_in(api: Api, lak: dict[str, Any]) -> None:
    api.clock.set_wall(-601)
    tokens = await api.log_in("sahan")
    api.clock.set_wall(601)
    renewed = await api.request("POST", "/refresh", json={"refresh_token": tokens["refresh_token"]})
    token, path = (await renewed.json())["token"], f"/users/{lak['id']}"
    for email in ("new@example.com", None):
        response = await api.request("PATCH", path, token, json={"email": email})
        assert (await response.json())["code"] == "reauthentication_required"
    body = {"name": "New", "username": "new", "email": "Lak@example.com"}
    response = await api.request("PATCH", path, token, json=body)
    assert response.status == 200, await response.text()
    assert (await response.json())["user"]["email"] == "Lak@example.com"


async def test_wrong_passwords_count_for_the_account_whatever_name_was_typed(api: Api, lak: dict[str, Any]) -> None:
    """20 are free; by several names they are not more."""
    assert lak["email"]

    async def status(name: str, password: str = WRONG) -> int:
        return (await api.request("POST", "/login", json={"username": name, "password": password})).status

    # Without the cookie of a device.
    api.client.session.cookie_jar.clear()
    names = ("lak", "lak@example.com", "LAK@Example.com", "LAK")
    assert [await status(names[number % len(names)]) for number in range(20)] == [400] * 20
    for name in names:
        assert await status(name, PASSWORD) == 429
    api.clock.advance(wait_after(20, 20) / 1000)
    assert await status("Lak@example.com", PASSWORD) == 200
    # A success begins anew for all of them.
    api.client.session.cookie_jar.clear()
    assert await status("lak") == 400


async def test_a_known_device_is_known_by_each_name(api: Api, lak: dict[str, Any]) -> None:
    assert lak["email"]
    answer = await api.request("POST", "/login", json={"username": "lak", "password": PASSWORD})
    cookie = {"Cookie": f"{DEVICE_COOKIE}={answer.cookies[DEVICE_COOKIE].value}"}
    api.client.session.cookie_jar.clear()
    for _ in range(20):
        await api.request("POST", "/login", json={"username": "lak", "password": WRONG})
    body = {"username": "lak@example.com", "password": PASSWORD}
    assert (await api.request("POST", "/login", json=body)).status == 429
    assert (await api.request("POST", "/login", json=body, headers=cookie)).status == 200


async def test_a_failure_by_an_address_is_recorded_for_its_user_alone(api: Api, lak: dict[str, Any]) -> None:
    assert lak["email"]
    for name in ("lak@example.com", "nobody@example.com"):
        await api.request("POST", "/login", json={"username": name, "password": WRONG})
    response = await api.request("GET", "/audit?event=login_failed", await api.token("sahan"))
    events = (await response.json())["events"]
    assert [(event["target_name"], event["after"]["reason"]) for event in events] == [
        (None, "unknown user"),
        ("lak", "wrong password"),
    ]


async def test_users_see_choose_and_remove_their_addresses(api: Api, lak: dict[str, Any]) -> None:
    token = await api.token("lak")
    (email,) = (await (await api.request("GET", "/me/emails", token)).json())["emails"]
    shown = {"email": "Lak@example.com", "verified": True, "primary": True, "created_at": lak["updated_at"]}
    assert email == {"id": email["id"], **shown}
    path = f"/me/emails/{email['id']}"
    assert (await api.request("POST", f"{path}/primary", token)).status == 204
    assert (await api.request("DELETE", path, token)).status == 204
    await api.problem(await api.request("DELETE", path, token), 404, "not_found")
    await api.problem(await api.request("POST", f"{path}/primary", token), 404, "not_found")
    assert await (await api.request("GET", "/me/emails", token)).json() == {"emails": []}
    assert (await user_named(api, "lak"))["email"] is None


async def test_an_address_that_is_not_verified_is_not_the_primary_one_by_choice(api: Api) -> None:
    users = api.services.users
    new = await users.prepared("john", "John", "customer", PASSWORD, email="john@example.com")
    await users.add(new)
    token = await api.token("john")
    (email,) = (await (await api.request("GET", "/me/emails", token)).json())["emails"]
    assert (email["verified"], email["primary"]) == (False, True)
    response = await api.request("POST", f"/me/emails/{email['id']}/primary", token)
    await api.problem(response, 409, "email_not_verified")
    body = {"username": "john@example.com", "password": PASSWORD}
    await api.problem(await api.request("POST", "/login", json=body), 400, "invalid_credentials")


async def test_the_own_address_is_no_password(api: Api) -> None:
    token, body = await api.token("sahan"), {"username": "j", "name": "J", "role": "customer"}
    password = {"password": "zuckmayer at weinberg 1"}
    assert (await api.request("POST", "/users", token, json=body | password)).status == 201
    address = {"username": "k", "email": "zuckmayer@weinberg.example"}
    response = await api.request("POST", "/users", token, json=body | password | address)
    problem = await api.problem(response, 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == ["password"]
