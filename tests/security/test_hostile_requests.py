"""Hostile tokens sent to a whole server: 401 `token_invalid`, nobody called, nothing read that they name.

One of each kind; what else there is of a kind is tried on TokenChecks alone in the other files.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from server.keys.key_material import SigningKey, public_jwk
from tests.forging import base64url, forge, header_of, signing_key
from tests.running import Api
from tests.security.hostile import P256_ORDER, by_hmac, encrypted, public_bytes, signed
from tests.security.watch import Trap, Watch
from watchword_client.claims import AccessClaims

on_sqlite = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
ROUTES = (
    "GET /me",
    "GET /verify",
    "GET /users",
    "GET /me/sessions",
    "PATCH /me",
    "POST /logout",
    "DELETE /me/sessions",
)


async def send(api: Api, route: str, token: str) -> aiohttp.ClientResponse:
    method, path = route.split(" ")
    body: dict[str, Any] = {"json": {"name": "Lak"}} if method == "PATCH" else {}
    return await api.request(method, path, token, **body)


async def claims_of(api: Api, username: str) -> tuple[SigningKey, AccessClaims]:
    """The key of this server, which an attacker does not have, and good claims: no token fails for anything else."""
    claims = await api.services.authenticator.verify(await api.token(username))
    key = api.services.keys.current.signing_key()
    assert (await send(api, "GET /me", forge(key, header_of(key), claims.to_jwt()))).status == 200
    return key, claims


def hostile_tokens(key: SigningKey, claims: dict[str, Any], trap: Trap) -> dict[str, str]:
    """Tokens with a right signature, where the attack leaves room for one."""
    attacker = signing_key("ES256", 2)
    header, payload, last = forge(key, header_of(key), claims).split(".")
    jwk = public_jwk(attacker.material, "ES256")
    unsigned = base64url(json.dumps(header_of(key, alg="none")).encode())
    detached = header_of(key) | {"b64": False, "crit": ["b64"]}
    flattened = {"payload": payload, "protected": header, "signature": last}
    repeated = json.dumps(claims)[:-1] + ',"\\u0072ole":"admin"}'
    to_itself = {"alg": "ECDH-ES", "enc": "A256GCM", "zip": "DEF", "cty": "JWT"}
    tokens = {
        "jku": forge(attacker, header_of(attacker, jku=trap.url()), claims),
        "jku, our signature": forge(key, header_of(key, jku=trap.url()), claims),
        "x5u": forge(attacker, header_of(key, x5u=trap.url("/certificate.pem")), claims),
        "jwk": forge(attacker, header_of(attacker, jwk=jwk), claims),
        "crit": forge(key, header_of(key, crit=["x"], x=trap.url()), claims),
        "b64": forge(key, detached, claims),
        "detached": f"{header}..{last}",
        "none": f"{unsigned}.{payload}.",
        "none, our signature": signed(unsigned, payload, key),
        "public key as secret": by_hmac(
            public_bytes(key, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), header_of(key, alg="HS256")
        ),
        "jwe": encrypted(key, json.dumps(claims).encode(), header_of(key) | to_itself),
        "json serialization": json.dumps(flattened, separators=(",", ":")),
        "repeated claim": forge(key, header_of(key), repeated.encode()),
        "utf-16": forge(key, header_of(key), json.dumps(claims).encode("utf-16")),
        "another type": forge(key, header_of(key, typ="JWT"), claims),
        "padded": f"{header}.{payload}.{last}==",
        "percent-encoded": f"{header}%2E{payload}%2E{last}",
        "twice": f"{header}.{payload}.{last}, {header}.{payload}.{last}",
        "too long": forge(key, header_of(key), claims | {"x": "x" * 4000}),
        "refresh token": "wwr_" + base64url(bytes(56)),
    }
    for kid in (
        "../../../dev/null",
        trap.url(),
        "' OR 1=1 --",
        "$(touch x)",
        "\0",
        "k" * 2000,
        "\ud800",
        key.kid + "\0",
    ):
        tokens[f"kid {kid[:12]!r}"] = forge(key, header_of(key, kid=kid), claims)
    return tokens


@on_sqlite
async def test_a_hostile_token_is_answered_with_401_and_nobody_is_called(api: Api, watch: Watch, trap: Trap) -> None:
    key, claims = await claims_of(api, "sahan")
    for name, token in hostile_tokens(key, claims.to_jwt(), trap).items():
        with watch.on() as deeds:
            response = await send(api, "GET /users", token)
            await api.problem(response, 401, "token_invalid")
        assert response.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"'), name
        # The client connects, and the store may be read for a key that is not known; nothing else is done.
        mine = f"('{api.client.host}', {api.client.port})"
        others = [deed for deed in deeds if mine not in deed]
        assert not [deed for deed in others if deed.startswith(("open ", "subprocess.", "os.", "import "))], name
        assert not [deed for deed in others if str(trap.port) in deed or "dev/null" in deed], name
        assert trap.visitors() == 0, name
    assert (await send(api, "GET /users", forge(key, header_of(key), claims.to_jwt()))).status == 200


def twin_of(token: str) -> str:
    """The same token with the other right signature (RFC 7518 section 3.4)."""
    body, _, last = token.rpartition(".")
    raw = base64.urlsafe_b64decode(f"{last}==")
    s = P256_ORDER - int.from_bytes(raw[32:], "big")
    return f"{body}.{base64url(raw[:32] + s.to_bytes(32, 'big'))}"


@on_sqlite
@pytest.mark.parametrize("known", [True, False], ids=["both seen before", "twin never seen"])
async def test_the_twin_of_a_token_is_revoked_with_it(api: Api, known: bool) -> None:
    """Revocation is by session, so another spelling of a signature is no way around it."""
    token = await api.token("lak")
    twin = twin_of(token)
    assert twin != token
    if known:
        assert (await send(api, "GET /me", twin)).status == 200
    assert (await send(api, "GET /me", token)).status == 200
    assert (await send(api, "POST /logout", token)).status == 204
    for one in (token, twin):
        await api.problem(await send(api, "GET /me", one), 401, "token_revoked")


@on_sqlite
async def test_the_twin_of_a_token_has_no_other_role(api: Api) -> None:
    """Nor a way around a change of role, nor around `exp`."""
    token, admin = await api.token("lak"), await api.token("sahan")
    twin = twin_of(token)
    await api.problem(await send(api, "GET /users", twin), 403, "insufficient_role")
    user_id = (await (await send(api, "GET /me", twin)).json())["user"]["id"]
    assert (await api.request("PATCH", f"/users/{user_id}", admin, json={"role": "admin"})).status == 200
    for one in (token, twin):
        await api.problem(await send(api, "GET /me", one), 401, "token_revoked")
    fresh = await api.token("lak")
    assert (await send(api, "GET /users", twin_of(fresh))).status == 200
    api.clock.advance(301)
    for one in (fresh, twin_of(fresh)):
        await api.problem(await send(api, "GET /users", one), 401, "token_expired")


async def answer_to(api: Api, route: str, token: str) -> str:
    """The code of the problem, else the status; without a word if the server gave none."""
    try:
        response = await send(api, route, token)
    except aiohttp.ServerDisconnectedError:
        return "no answer"
    assert "admin" not in response.headers.get("X-Auth-Role", "")
    return str(response.status) if response.ok else str((await response.json())["code"])


@pytest.mark.parametrize(
    "value", ["\0", "\ud800", "lak\r\nX-Auth-Role: admin", "\u00e9", "\U0001f4a5", "' OR 1=1 --", "x" * 2000]
)
async def test_claims_that_no_account_has_are_answered(api: Api, value: str) -> None:
    """RFC 8725 section 3.10: with a right signature, as whoever shares the secret of HS256 can make it; and yet no 5xx.

    A header of `GET /verify` can't hold some of these, nor can a store.
    """
    key, claims = await claims_of(api, "lak")
    wrong = {}
    for name in ("sub", "sid", "jti", "username", "role"):
        for route in ROUTES:
            # A session of its own: one that is over would be an answer too.
            changed = claims.to_jwt() | {"sid": api.services.ids.new_id()} | {name: value}
            answer = await answer_to(api, route, forge(key, header_of(key), changed))
            if answer not in {"200", "204", "token_invalid", "token_revoked", "insufficient_role", "not_found"}:
                wrong[f"{name}, {route}"] = answer
    assert wrong == {}
