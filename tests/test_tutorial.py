"""The tutorial's flow, step by step, made real."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from pydantic import SecretStr

from server.settings.tree import TokenSettings
from tests.claims import claims_of
from tests.running import Api, StartApi

SECRET = "hT7pXw2LqRz9 vKc4NdYs8MbJf3GaEu6"


def header_of(token: str) -> dict[str, Any]:
    header: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))
    return header


@pytest.fixture(params=["ES256", "EdDSA", "RS256", "HS256"])
async def api(request: pytest.FixtureRequest, start_api: StartApi) -> Api:
    return await start_api(tokens=TokenSettings(algorithm=request.param, secret=SecretStr(SECRET)))


async def test_login_gives_tokens_with_the_claims_of_the_contract(api: Api) -> None:
    answer = await api.log_in("lak")
    assert set(answer) == {"token", "token_type", "expires_in", "refresh_token", "refresh_expires_in"}
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 300)
    assert answer["refresh_expires_in"] == 1209600
    claims = claims_of(answer["token"])
    assert set(claims) == {
        "iss", "sub", "aud", "iat", "exp", "jti", "sid", "role", "username", "auth_time", "amr"
    }  # fmt: skip
    assert (claims["auth_time"], claims["amr"]) == (claims["iat"], ["pwd"])
    assert (claims["iss"], claims["aud"], claims["role"], claims["username"]) == ("my-api", "my-api", "customer", "lak")
    assert claims["exp"] - claims["iat"] == 300
    header = header_of(answer["token"])
    assert header["typ"] == "at+jwt"
    assert header["alg"] == api.services.settings.tokens.algorithm
    me = await (await api.request("GET", "/me", answer["token"])).json()
    assert me["user"]["id"] == claims["sub"]


async def test_admin_lists_users_and_reads_one(api: Api) -> None:
    token = await api.token("sahan")
    listed = await (await api.request("GET", "/users", token)).json()
    assert [user["username"] for user in listed["users"]] == ["sahan", "lak"]
    assert listed["next_cursor"] is None
    lak = listed["users"][1]
    assert set(lak) == {
        "id", "username", "name", "email", "email_verified", "role", "disabled", "created_at", "updated_at",
        "last_login_at",
    }  # fmt: skip
    one = await api.request("GET", f"/users/{lak['id']}", token)
    assert (one.status, (await one.json())["user"]) == (200, lak)


async def test_customer_is_refused_what_admins_may(api: Api) -> None:
    token = await api.token("lak")
    for path in ("/users", f"/users/{claims_of(token)['sub']}"):
        problem = await api.problem(await api.request("GET", path, token), 403, "insufficient_role")
        assert (problem["required"], problem["role"]) == (["admin"], "customer")


async def test_no_token_is_401_without_an_error_attribute(api: Api) -> None:
    response = await api.request("GET", "/users")
    await api.problem(response, 401, "token_missing")
    assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_expired_token_asks_to_log_in_again(api: Api) -> None:
    token = await api.token("sahan")
    api.clock.advance(299)
    assert (await api.request("GET", "/users", token)).status == 200
    api.clock.advance(1)
    response = await api.request("GET", "/users", token)
    problem = await api.problem(response, 401, "token_expired")
    assert problem["detail"] == "Session expired. Please log in again."
    assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize(("username", "password"), [("lak", "wrong"), ("nobody", "wrong"), ("lak\0", ""), ("ł", "x")])
async def test_wrong_password_and_unknown_user_get_the_same_answer(api: Api, username: str, password: str) -> None:
    response = await api.request("POST", "/login", json={"username": username, "password": password})
    problem = await api.problem(response, 400, "invalid_credentials")
    assert problem["detail"] == "Invalid username or password"


async def test_the_jwks_has_the_public_key_and_nothing_private(api: Api) -> None:
    response = await api.request("GET", "/.well-known/jwks.json")
    assert response.headers["Cache-Control"] == "public, max-age=300"
    keys = (await response.json(content_type=None))["keys"]
    if api.services.settings.tokens.algorithm == "HS256":
        assert keys == []
    else:
        # The one that signs, and the next one.
        assert [key["kid"] for key in keys].count(header_of(await api.token("lak"))["kid"]) == 1
        assert len(keys) == 2
        for key in keys:
            assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(key)


async def test_a_changed_token_is_invalid(api: Api) -> None:
    token = await api.token("sahan")
    header, payload, signature = token.split(".")
    forged = claims_of(token) | {"role": "admin", "username": "lak"}
    other = base64.urlsafe_b64encode(json.dumps(forged).encode()).decode().rstrip("=")
    for bad in (f"{header}.{other}.{signature}", f"{header}.{payload}.", token + "A", token[1:], "x", "é", "a.b.c"):
        response = await api.request("GET", "/users", bad)
        await api.problem(response, 401, "token_invalid")
        assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
