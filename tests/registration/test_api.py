from __future__ import annotations

from typing import Any

import pytest

from server.core.clock import rfc3339
from server.registration.model import LONGEST_LIFE_SECONDS
from server.settings.tree import RegistrationSettings, RoleSettings, default_roles
from tests.http.logged import Log, start_logged
from tests.records import id_of
from tests.registration.inviting import BY_INVITATION, OPEN, invite, is_good, is_there, reloaded, sign_up, used, user_of
from tests.running import PASSWORD, Api, StartApi

SUPPORT: dict[str, Any] = {
    "roles": default_roles() | {"support": RoleSettings(), "owner": RoleSettings(includes=("admin",))}
}


async def audit(api: Api, event: str) -> list[dict[str, Any]]:
    token = await api.token("sahan")
    events: list[dict[str, Any]] = (await (await api.request("GET", f"/audit?event={event}", token)).json())["events"]
    return events


async def test_where_registration_is_closed_nobody_signs_up_and_nobody_is_invited(start_api: StartApi) -> None:
    api = await start_api(**BY_INVITATION)
    invitation, token = await invite(api)
    api = await reloaded(api, registration=RegistrationSettings())
    admin = await api.token("sahan")
    for response in (
        await sign_up(api),
        await sign_up(api, token=token),
        await api.request("POST", "/invitations/check", json={"invitation_token": token}),
        await api.request("POST", "/invitations", admin, json={}),
    ):
        problem = await api.problem(response, 403, "registration_closed")
        assert 'registration.mode is "closed"' in problem["detail"]
    assert not await is_there(api, "nuwan")
    # Those that there are can be looked at and withdrawn.
    listed = await (await api.request("GET", "/invitations", admin)).json()
    assert listed == {"invitations": [invitation], "next_cursor": None}
    assert (await api.request("DELETE", f"/invitations/{invitation['id']}", admin)).status == 204


async def test_by_invitation_alone_registration_takes_a_token(start_api: StartApi) -> None:
    api = await start_api(**BY_INVITATION)
    problem = await api.problem(await sign_up(api), 403, "registration_closed")
    assert "invitation" in problem["detail"]
    invitation, token = await invite(api)
    assert invitation == {
        "id": invitation["id"],
        "role": "customer",
        "email": None,
        "uses": 1,
        "used": 0,
        "created_by": (await api.services.users.credentials_of("sahan")).user.id,
        "created_at": rfc3339(api.clock.now_ms()),
        "expires_at": rfc3339(api.clock.now_ms() + 7 * 86_400_000),
        "withdrawn_at": None,
    }
    user = await user_of(await sign_up(api, token=token))
    assert (user["username"], user["name"], user["role"], user["email"]) == ("nuwan", "Nuwan", "customer", None)
    assert (await (await api.request("GET", "/me", await api.token("nuwan"))).json())["user"]["id"] == user["id"]
    await api.problem(await sign_up(api, "other", token), 400, "invitation_invalid")
    assert await used(api, invitation) == 1


async def test_an_open_registration_takes_everybody_and_invitations_for_another_role(start_api: StartApi) -> None:
    api = await start_api(**OPEN, **SUPPORT)
    assert (await user_of(await sign_up(api)))["role"] == "customer"
    _, token = await invite(api, role="support")
    assert (await user_of(await sign_up(api, "second", token)))["role"] == "support"
    # A token that is no good is not passed over.
    await api.problem(await sign_up(api, "third", token), 400, "invitation_invalid")
    await api.problem(await sign_up(api, "third", "wwi_nothing"), 400, "invitation_invalid")
    await api.problem(await sign_up(api, "LAK"), 409, "username_taken")
    assert not await is_there(api, "third")


async def test_the_role_of_who_registers_is_that_of_the_settings(start_api: StartApi) -> None:
    api = await start_api(**SUPPORT, registration=RegistrationSettings(mode="open", role="support"))
    assert (await user_of(await sign_up(api)))["role"] == "support"
    assert (await invite(api))[0]["role"] == "support"


async def test_an_attempt_that_fails_spends_no_use(start_api: StartApi) -> None:
    api = await start_api(**BY_INVITATION)
    invitation, token = await invite(api)
    await api.problem(await sign_up(api, "lak", token), 409, "username_taken")
    await api.problem(await sign_up(api, "nuwan", token, password="password"), 422, "invalid_request")
    await api.problem(await sign_up(api, "two words", token), 422, "invalid_request")
    assert await used(api, invitation) == 0
    assert await is_good(api, token)
    await user_of(await sign_up(api, "nuwan", token))


async def test_an_invitation_is_good_until_it_expires_or_is_withdrawn(start_api: StartApi) -> None:
    api = await start_api(**BY_INVITATION)
    _, short = await invite(api, expires_in=60)
    invitation, long = await invite(api, uses=10)
    assert await is_good(api, short)
    api.clock.advance(59.999)
    assert await is_good(api, short)
    api.clock.advance(0.001)
    assert not await is_good(api, short)
    await api.problem(await sign_up(api, token=short), 400, "invitation_invalid")
    admin = await api.token("sahan")
    response = await api.request("POST", "/invitations/check", json={"invitation_token": long})
    assert await response.json() == {"email": None, "expires_at": invitation["expires_at"]}
    for _ in range(2):
        assert (await api.request("DELETE", f"/invitations/{invitation['id']}", admin)).status == 204
    assert not await is_good(api, long)
    await api.problem(await sign_up(api, token=long), 400, "invitation_invalid")
    await api.problem(await api.request("DELETE", f"/invitations/{id_of(1)}", admin), 404, "not_found")
    await api.problem(await api.request("DELETE", "/invitations/1", admin), 404, "not_found")
    assert len(await audit(api, "invitation_withdrawn")) == 1


async def test_an_invitation_for_an_address_verifies_it_and_is_for_nobody_else(start_api: StartApi) -> None:
    api = await start_api(**BY_INVITATION)
    invitation, token = await invite(api, email="Nuwan@EXAMPLE.com")
    assert invitation["email"] == "Nuwan@example.com"
    response = await api.request("POST", "/invitations/check", json={"invitation_token": token})
    assert (await response.json())["email"] == "Nuwan@example.com"
    await api.problem(await sign_up(api, token=token, email="other@example.com"), 400, "invitation_invalid")
    user = await user_of(await sign_up(api, token=token, email="nuwan@example.com"))
    assert (user["email"], user["email_verified"]) == ("Nuwan@example.com", True)
    assert (await api.log_in("nuwan@example.com"))["token"]
    # Nobody else can be invited for it, and whoever was meanwhile can't have it.
    admin = await api.token("sahan")
    again = await api.request("POST", "/invitations", admin, json={"email": "NUWAN@example.com"})
    await api.problem(again, 409, "email_taken")


async def test_an_address_that_somebody_has_got_meanwhile_spends_no_use(start_api: StartApi) -> None:
    api = await start_api(**BY_INVITATION)
    _, first = await invite(api, email="nuwan@example.com")
    invitation, second = await invite(api, email="nuwan@example.com")
    await user_of(await sign_up(api, token=first))
    await api.problem(await sign_up(api, "other", second), 409, "email_taken")
    assert await used(api, invitation) == 0
    assert not await is_there(api, "other")


async def test_nothing_tells_whether_an_address_is_somebodys(start_api: StartApi) -> None:
    """It is given by whoever registers, and stays unverified, so both may have it; it leads to its owner alone."""
    api = await start_api(**OPEN)
    user_id = (await api.services.users.credentials_of("lak")).user.id
    await api.services.users.update(user_id, email="lak@example.com")
    taken, free = await sign_up(api, email="lak@example.com"), await sign_up(api, "other", email="free@example.com")
    one, other = await user_of(taken), await user_of(free)
    assert one.keys() == other.keys()
    assert (one["email"], one["email_verified"], other["email_verified"]) == ("lak@example.com", False, False)
    me = await (await api.request("GET", "/me", await api.token("lak@example.com"))).json()
    assert me["user"]["id"] == user_id


async def test_a_name_that_looks_like_an_address_is_not_to_be_had(start_api: StartApi) -> None:
    api = await start_api(**OPEN)
    _, token = await invite(api)
    for username in ("lak@example.com", "nobody@example.com", "lak@localhost", "@lak", "lak\uff20x.org"):
        for given in (None, token):
            response = await sign_up(api, username, given)
            assert (await api.problem(response, 422, "invalid_request"))["errors"][0]["field"] == "username"
        assert not await is_there(api, username)


async def test_the_address_of_an_invitation_may_be_the_name_too(start_api: StartApi) -> None:
    api = await start_api(**BY_INVITATION)
    _, token = await invite(api, email="nuwan@example.com")
    await api.problem(await sign_up(api, "other@example.com", token), 422, "invalid_request")
    user = await user_of(await sign_up(api, "Nuwan@Example.com", token))
    assert (user["username"], user["email_verified"]) == ("Nuwan@Example.com", True)


async def test_only_addresses_of_the_domains_may_register(start_api: StartApi) -> None:
    domains = ("m\u00fcnchen.example", "example.com")
    api = await start_api(registration=RegistrationSettings(mode="open", email_domains=domains))
    for email in (None, "a@example.org", "a@sub.example.com", "a@example.com.org"):
        response = await sign_up(api, **({} if email is None else {"email": email}))
        (error,) = (await api.problem(response, 422, "invalid_request"))["errors"]
        assert (error["field"], "xn--mnchen-3ya.example, example.com" in error["message"]) == ("email", True)
    for number, email in enumerate(("a@Example.COM", "a@M\u00fcnchen.example", "b@xn--mnchen-3ya.example")):
        await user_of(await sign_up(api, f"user{number}", email=email))
    admin = await api.token("sahan")
    response = await api.request("POST", "/invitations", admin, json={"email": "a@example.org"})
    assert (await api.problem(response, 422, "invalid_request"))["errors"][0]["field"] == "email"
    # Without an address the invitation is for whoever has one of the domains.
    _, token = await invite(api)
    await api.problem(await sign_up(api, "last", token), 422, "invalid_request")
    await user_of(await sign_up(api, "last", token, email="last@example.com"))


WRONG_INVITATIONS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"role": "king"}, "role"),
    ({"role": ""}, "role"),
    ({"email": "nobody"}, "email"),
    ({"email": "a@b\0.example.com"}, "email"),
    ({"uses": 0}, "uses"),
    ({"uses": 10_001}, "uses"),
    ({"uses": 1.5}, "uses"),
    ({"uses": True}, "uses"),
    ({"uses": 2, "email": "lak@example.com"}, "uses"),
    ({"expires_in": 0}, "expires_in"),
    ({"expires_in": LONGEST_LIFE_SECONDS + 1}, "expires_in"),
    ({"expires_in": 10**30}, "expires_in"),
    ({"token": "wwi_"}, "token"),
)


async def test_an_invitation_with_a_wrong_field_is_refused(start_api: StartApi) -> None:
    api = await start_api(**BY_INVITATION)
    admin = await api.token("sahan")
    for body, field in WRONG_INVITATIONS:
        response = await api.request("POST", "/invitations", admin, json=body)
        assert (await api.problem(response, 422, "invalid_request"))["errors"][0]["field"] == field
    assert await api.services.invitations.list(9, None) == []


async def test_a_number_without_a_fraction_is_whole_however_it_is_spelt(start_api: StartApi) -> None:
    """JSON Schema takes 60.0 for an integer, and so does the OpenAPI document."""
    api = await start_api(**BY_INVITATION)
    response = await api.request(
        "POST", "/invitations", await api.token("sahan"), json={"uses": 2.0, "expires_in": 6e1}
    )
    assert response.status == 201
    assert (await response.json())["invitation"]["uses"] == 2


WRONG_ACCOUNTS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"username": "two words"}, "username"),
    ({"name": "a\nb"}, "name"),
    ({"name": ""}, "name"),
    ({"password": "short"}, "password"),
    ({"password": None}, "password"),
    ({"email": "nobody"}, "email"),
    ({"email": "a" * 300 + "@example.com"}, "email"),
    ({"role": "admin"}, "role"),
    ({"invitation_token": ""}, "invitation_token"),
    ({"invitation_token": "w" * 4097}, "invitation_token"),
)


async def test_a_wrong_field_is_named(start_api: StartApi) -> None:
    api = await start_api(**OPEN)
    for change, field in WRONG_ACCOUNTS:
        response = await sign_up(api, **change)
        assert (await api.problem(response, 422, "invalid_request"))["errors"][0]["field"] == field
    assert not await is_there(api, "nuwan")


async def test_the_list_is_read_page_by_page_the_newest_first(start_api: StartApi) -> None:
    api = await start_api(**BY_INVITATION)
    admin = await api.token("sahan")
    made: list[dict[str, Any]] = []
    for _ in range(5):
        api.clock.advance(1)
        response = await api.request("POST", "/invitations", admin, json={})
        made.insert(0, (await response.json())["invitation"])
    listed: list[dict[str, Any]] = []
    query: str | None = "limit=2"
    while query is not None:
        page = await (await api.request("GET", f"/invitations?{query}", admin)).json()
        assert len(page["invitations"]) <= 2
        listed += page["invitations"]
        query = page["next_cursor"] and f"limit=2&cursor={page['next_cursor']}"
    assert listed == made
    for wrong in ("limit=0", "limit=201", "limit=x", "cursor=!", "state=open"):
        await api.problem(await api.request("GET", f"/invitations?{wrong}", admin), 422, "invalid_request")


# What becomes of the admin who has invited.
BEFALLS: dict[str, Any] = {
    "demoted": {"role": "customer"},
    "disabled": {"disabled": True},
    "deleted": None,
    "another admin role": {"role": "owner"},
}


@pytest.mark.parametrize("befalls", BEFALLS)
async def test_an_invitation_is_good_as_long_as_its_maker_may_make_one(start_api: StartApi, befalls: str) -> None:
    """Else who is no admin any more could come back as one."""
    api = await start_api(**BY_INVITATION, **SUPPORT)
    inviter = (await api.services.users.create("inviter", "Inviter", "admin", PASSWORD)).user
    invitation, token = await invite(api, "inviter", role="admin")
    assert await is_good(api, token)
    found = await api.services.invitations.good(token)
    if befalls == "deleted":
        await api.services.users.delete(inviter.id)
    else:
        await api.services.users.update(inviter.id, **BEFALLS[befalls])
    if befalls == "another admin role":
        assert (await user_of(await sign_up(api, token=token)))["role"] == "admin"
        return
    assert not await is_good(api, token)
    await api.problem(await sign_up(api, token=token), 400, "invitation_invalid")
    assert await api.services.invitations.state(found) == "who made it may not invite"
    assert (await used(api, invitation), await is_there(api, "nuwan")) == (0, False)


async def test_who_may_invite_is_said_by_the_settings(start_api: StartApi) -> None:
    """Support may, and admins may not: what support has made is good."""
    access = {"POST /invitations": ("support",)}
    api = await start_api(**BY_INVITATION, **SUPPORT, access=access)
    await api.services.users.create("helper", "Helper", "support", PASSWORD)
    _, token = await invite(api, "helper")
    response = await api.request("POST", "/invitations", await api.token("sahan"), json={})
    await api.problem(response, 403, "insufficient_role")
    await user_of(await sign_up(api, token=token))


async def test_an_invitation_of_a_command_is_good_whoever_is_there(start_api: StartApi) -> None:
    api = await start_api(**BY_INVITATION)
    made = await api.services.invitations.invite(role=None, email=None, life_seconds=60, uses=1, created_by=None)
    assert made.invitation.created_by is None
    await user_of(await sign_up(api, token=made.token))


async def test_an_invitation_whose_role_the_settings_have_lost_is_not_good(start_api: StartApi) -> None:
    api = await start_api(**BY_INVITATION, **SUPPORT)
    invitation, token = await invite(api, role="support")
    api = await reloaded(api, roles=default_roles())
    assert not await is_good(api, token)
    await api.problem(await sign_up(api, token=token), 400, "invitation_invalid")
    assert (await used(api, invitation), await is_there(api, "nuwan")) == (0, False)


async def test_what_was_invited_by_a_clock_that_was_ahead_is_not_good_when_it_is_right(start_api: StartApi) -> None:
    api = await start_api(**BY_INVITATION)
    api.clock.set_wall(86400)
    _, token = await invite(api)
    assert await is_good(api, token)
    api.clock.set_wall(-86400)
    assert not await is_good(api, token)
    await api.problem(await sign_up(api, token=token), 400, "invitation_invalid")


async def test_the_audit_log_says_who_was_invited_and_who_came(start_api: StartApi) -> None:
    api = await start_api(**OPEN)
    invitation, token = await invite(api, email="nuwan@example.com")
    user = await user_of(await sign_up(api, token=token))
    (made,), (came,) = await audit(api, "invitation_created"), await audit(api, "invitation_used")
    assert (made["actor_name"], made["target_id"], made["target_name"]) == (
        "sahan",
        invitation["id"],
        "nuwan@example.com",
    )
    assert made["after"] == {
        "role": "customer",
        "email": "nuwan@example.com",
        "uses": 1,
        "expires_at": invitation["expires_at"],
    }
    assert (came["actor_id"], came["target_id"], came["ip"]) == (None, invitation["id"], "127.0.0.1")
    assert came["after"] == {"user_id": user["id"], "username": "nuwan", "role": "customer", "used": 1}
    created = (await audit(api, "user_created"))[0]
    assert (created["actor_id"], created["actor_name"], created["target_id"]) == (user["id"], "nuwan", user["id"])
    assert created["after"]["password"] is True
    # Without an invitation there is the account alone.
    other = await user_of(await sign_up(api, "other"))
    assert (await audit(api, "user_created"))[0]["actor_id"] == other["id"]
    assert len(await audit(api, "invitation_used")) == 1


async def test_a_token_is_in_no_log_and_not_in_the_store(start_api: StartApi) -> None:
    log = Log()
    api = await start_logged(start_api, log, **BY_INVITATION)
    invitation, token = await invite(api)
    await user_of(await sign_up(api, token=token))
    await is_good(api, token)
    read = api.services.repositories.driver.read
    held = [
        *await read("SELECT id, role, email FROM invitations"),
        *await read("SELECT target_id, before_change, after_change FROM audit_events"),
        *await read("SELECT key FROM guesses"),
    ]
    assert any(invitation["id"] in tuple(row) for row in held)
    # Behind the id stands the MAC.
    mac = token[30:]
    assert not any(mac in text for text in (*(str(tuple(row)) for row in held), log.text()))
    assert "/sign-up" in log.text()


async def test_an_admin_whose_sign_in_is_old_invites_customers_and_no_admins(start_api: StartApi) -> None:
    api = await start_api(**BY_INVITATION, **SUPPORT)
    tokens = await api.log_in("sahan")
    api.clock.advance(601)
    refreshed = await api.request("POST", "/refresh", json={"refresh_token": tokens["refresh_token"]})
    admin = (await refreshed.json())["token"]
    for role in ("admin", "owner"):
        response = await api.request("POST", "/invitations", admin, json={"role": role})
        await api.problem(response, 401, "reauthentication_required")
    assert (await api.request("POST", "/invitations", admin, json={"role": "support"})).status == 201
    assert (await api.request("POST", "/invitations", admin, json={})).status == 201
