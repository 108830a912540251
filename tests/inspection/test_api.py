"""Looking into a token: POST /inspect, and the page that asks it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import jwt
import pytest

from server.inspection.flaws import UNKNOWN_KEY
from server.inspection.schemas import InspectionAnswer
from server.keys.key_material import generate
from tests.forging import base64url
from tests.http.logged import Log, start_logged
from tests.running import Api, StartApi

FORGED = "the signature was not made by that key over this header and payload"


async def inspected(api: Api, token: str) -> dict[str, Any]:
    """The answer, which is of the shape that the API document gives it."""
    response = await api.request("POST", "/inspect", json={"token": token})
    assert response.status == 200, await response.text()
    assert response.headers["Cache-Control"] == "no-store"
    body: dict[str, Any] = json.loads(await response.read(), parse_constant=pytest.fail)
    InspectionAnswer.model_validate(body)
    return body


async def verdict(api: Api, token: str) -> tuple[str, list[str]]:
    """The verdict with its reasons; routes are told only to those who hold a token that is accepted."""
    answer = await inspected(api, token)
    assert (answer["verdict"] == "accepted") == bool(answer["routes"]) == (answer["reasons"] == [])
    status = (await api.request("GET", "/me", token)).status if token.isascii() else 401
    assert (answer["verdict"] == "accepted") == (status == 200)
    return answer["verdict"], answer["reasons"]


def with_payload(token: str, **changes: Any) -> str:
    """The same header and signature around other claims."""
    header, _, signature = token.split(".")
    claims = jwt.decode(token, options={"verify_signature": False}) | changes
    return f"{header}.{base64url(json.dumps(claims).encode())}.{signature}"


async def test_a_good_token_is_accepted_and_everything_in_it_is_told(api: Api) -> None:
    token = await api.token("lak")
    answer = await inspected(api, token)
    assert (answer["verdict"], answer["reasons"], answer["now"]) == ("accepted", [], "2026-09-21T14:13:21.000Z")
    assert answer["claims"] == jwt.decode(token, options={"verify_signature": False})
    assert answer["header"] == jwt.get_unverified_header(token)
    assert answer["times"] == [
        {"claim": "iat", "at": "2026-09-21T14:13:21.000Z", "words": "now"},
        {"claim": "exp", "at": "2026-09-21T14:18:21.000Z", "words": "in 5 minutes"},
        {"claim": "auth_time", "at": "2026-09-21T14:13:21.000Z", "words": "now"},
    ]
    assert answer["claims"]["amr"] == ["pwd"]
    kid = answer["header"]["kid"]
    assert answer["signature"] == {"valid": True, "kid": kid, "algorithm": "ES256", "key_state": "active"}


async def test_the_routes_are_those_that_the_role_may_call(start_api: StartApi) -> None:
    api = await start_api(access={"GET /routes": ("customer",), "GET /users": ()})
    table = (await (await api.request("GET", "/routes", await api.token("sahan"))).json())["routes"]
    told = {}
    for username, role in (("sahan", "admin"), ("lak", "customer")):
        told[role] = (await inspected(api, await api.token(username)))["routes"]
        assert [(route["method"], route["path"], route["access"]) for route in told[role]] == [
            (row["method"], row["path"], row["access"])
            for row in table
            if row["access"] in {"anyone", "any user"} or role in row["roles"]
        ]
        assert all(route["summary"] for route in told[role])
    admin, customer = ({(route["method"], route["path"]) for route in told[role]} for role in ("admin", "customer"))
    assert admin > customer
    assert ("POST", "/users") in admin - customer
    assert ("GET", "/routes") in customer
    assert ("GET", "/users") not in admin


async def test_a_token_expires_to_the_second(api: Api) -> None:
    token = await api.token("lak")
    api.clock.advance(299.9)
    assert await verdict(api, token) == ("accepted", [])
    api.clock.advance(0.1)
    assert await verdict(api, token) == ("token_expired", ["it has expired"])
    answer = await inspected(api, token)
    assert answer["signature"]["valid"] is True
    assert answer["claims"]["username"] == "lak"
    assert answer["times"][1]["words"] == "now"


async def test_a_logout_revokes(api: Api) -> None:
    token = await api.token("lak")
    assert (await api.request("POST", "/logout", token)).status == 204
    told, [reason] = await verdict(api, token)
    assert told == "token_revoked"
    assert reason.startswith("its session has ended: by a logout, ")
    assert (await inspected(api, token))["signature"]["valid"] is True


async def test_a_change_of_the_role_revokes(api: Api) -> None:
    token, admin = await api.token("lak"), await api.token("sahan")
    lak = (await inspected(api, token))["claims"]["sub"]
    api.clock.advance(1)
    assert (await api.request("PATCH", f"/users/{lak}", admin, json={"role": "admin"})).status == 200
    assert await verdict(api, token) == ("token_revoked", ["the role of its user was changed after it was issued"])
    assert await verdict(api, await api.token("lak")) == ("accepted", [])


async def test_a_forged_token_is_shown_but_not_believed(api: Api) -> None:
    token = with_payload(await api.token("lak"), role="admin", username="<script>")
    assert await verdict(api, token) == ("token_invalid", [FORGED])
    answer = await inspected(api, token)
    assert (answer["claims"]["role"], answer["claims"]["username"]) == ("admin", "<script>")
    assert (answer["signature"]["valid"], answer["signature"]["key_state"]) == (False, "active")


async def test_a_key_that_is_not_known_here(api: Api) -> None:
    claims = jwt.decode(await api.token("lak"), options={"verify_signature": False})
    headers = {"typ": "at+jwt", "kid": "elsewhere"}
    token = jwt.encode(claims, generate("ES256"), algorithm="ES256", headers=headers)
    assert await verdict(api, token) == ("token_invalid", [UNKNOWN_KEY])
    answer = await inspected(api, token)
    assert answer["signature"] == {"valid": None, "kid": "elsewhere", "algorithm": None, "key_state": None}


async def test_a_key_that_was_revoked_says_so(api: Api) -> None:
    token = await api.token("lak")
    kid = jwt.get_unverified_header(token)["kid"]
    await api.services.keys.revoke(kid)
    assert await verdict(api, token) == ("token_invalid", ["the key that the header names was revoked"])
    answer = await inspected(api, token)
    assert answer["signature"] == {"valid": None, "kid": kid, "algorithm": None, "key_state": "revoked"}


async def test_a_key_that_is_retired_still_vouches_until_its_last_token_has_expired(api: Api) -> None:
    token = await api.token("lak")
    await api.services.keys.rotate(at_once=True)
    answer = await inspected(api, token)
    assert (answer["verdict"], answer["signature"]["key_state"]) == ("accepted", "retired")
    api.clock.advance(400)
    reason = "the key that the header names is retired, and whatever it signed has expired"
    assert await verdict(api, token) == ("token_invalid", [reason])


async def test_the_keys_are_read_again_for_a_token_of_a_key_that_is_not_known(api: Api) -> None:
    token = await api.token("lak")
    api.clock.advance(2)
    api.services.keys.current._take([])
    assert (await inspected(api, token))["verdict"] == "accepted"


async def test_another_type_of_token_is_told_apart(api: Api) -> None:
    key = api.services.keys.current.signing_key()
    claims = jwt.decode(await api.token("lak"), options={"verify_signature": False})
    token = jwt.encode(claims, key.material, algorithm="ES256", headers={"kid": key.kid})
    assert await verdict(api, token) == (
        "token_invalid",
        ["`typ` is not at+jwt: this is another kind of token (RFC 9068 section 2.1)"],
    )
    assert (await inspected(api, token))["signature"]["valid"] is True
    refresh_token = (await api.log_in("lak"))["refresh_token"]
    assert (await verdict(api, refresh_token))[1] == [
        "it is a refresh token, which only ever goes to `POST /refresh` and `POST /logout`"
    ]


HOSTILE = [
    "garbage",
    "..",
    "a.b.c",
    "é.é.é",
    "\0.\n.\x1b",
    "a" * 16_384,
    ".".join("a" * 5460 for _ in range(3)),
    "a.b.c.d.e",
    '{"payload":"","signature":""}',
]
PARTS = [
    b'{"kid":"\\ud800","alg":"\\udfff","typ":"at+jwt"}',
    b'{"exp":1e999,"iat":-1e999,"nbf":1e308}',
    b'{"exp":%b,"iat":1}' % (b"9" * 4000),
    b'{"exp":%b}' % (b"9" * 4400),
    b'{"exp":NaN}',
    b'{"x":' * 990 + b"1" + b"}" * 990,
    b'{"x":' + b"[" * 1200 + b"]" * 1200 + b"}",
    b"[" * 6000,
    b'{"exp":253402300800,"iat":-62135596801}',
]


@pytest.mark.parametrize("token", [*HOSTILE, *(f"{base64url(part)}.{base64url(part)}.AA" for part in PARTS)],
                         ids=range(len(HOSTILE) + len(PARTS)))  # fmt: skip
async def test_whatever_is_sent_has_an_answer(api: Api, token: str) -> None:
    answer = await inspected(api, token)
    assert answer["verdict"] == "token_invalid"
    assert answer["reasons"]
    assert len(answer["reasons"]) == len(set(answer["reasons"]))


@pytest.mark.parametrize("part", PARTS, ids=range(len(PARTS)))
async def test_claims_that_were_really_signed_have_an_answer_too(api: Api, part: bytes) -> None:
    key = api.services.keys.current.signing_key()
    token = jwt.PyJWS().encode(part, key.material, algorithm="ES256", headers={"typ": "at+jwt", "kid": key.kid})
    answer = await inspected(api, token)
    assert (answer["verdict"], answer["signature"]["valid"]) == ("token_invalid", True)


async def test_what_is_no_token_at_all_is_refused(api: Api) -> None:
    for body in ({"token": ""}, {"token": "a" * 16_385}, {"token": 7}, {"token": None}, {}, {"token": "a", "x": 1}):
        await api.problem(await api.request("POST", "/inspect", json=body), 422, "invalid_request")
    lone = await api.request(
        "POST", "/inspect", data=rb'{"token":"\ud800"}', headers={"Content-Type": "application/json"}
    )
    await api.problem(lone, 400, "invalid_json")


async def test_nothing_of_a_token_is_logged(start_api: StartApi) -> None:
    log = Log()
    api = await start_logged(start_api, log)
    token = await api.token("lak")
    for sent in (token, with_payload(token, role="admin"), "garbage-garbage"):
        await inspected(api, sent)
    assert [line["route"] for line in log.lines()[-3:]] == ["/inspect"] * 3
    for part in (*token.split("."), "garbage-garbage", (await inspected(api, token))["claims"]["jti"]):
        assert part not in log.text()


async def test_it_can_be_kept_for_a_role(start_api: StartApi) -> None:
    api = await start_api(access={"POST /inspect": ("admin",)})
    await api.problem(await api.request("POST", "/inspect", json={"token": "a"}), 401, "token_missing")
    response = await api.request("POST", "/inspect", await api.token("sahan"), json={"token": "a"})
    assert response.status == 200


class Elements(HTMLParser):
    """The elements of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


async def test_the_policy_of_the_page_lets_it_ask_this_server_alone(api: Api) -> None:
    response = await api.request("GET", "/inspect")
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = response.headers["Content-Security-Policy"].split("; ")
    for directive in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'",
                      "frame-ancestors 'none'", "require-trusted-types-for 'script'"):  # fmt: skip
        assert directive in policy
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_page_has_nothing_inline_and_its_scripts_keep_nothing(api: Api) -> None:
    text = await (await api.request("GET", "/inspect")).text()
    for tag, attributes in Elements(text).found:
        assert tag != "style"
        for name, value in attributes.items():
            assert name not in {"srcset", "style", "action", "formaction", "data", "srcdoc"}
            assert not name.startswith("on"), (tag, name)
            if name in {"src", "href"}:
                assert value is not None
                assert value in {"/docs", "/inspect", "#main"} or value.startswith("/assets/")
    scripts = re.findall(r"/assets/\w+/(?:inspect|exact)[\w-]*\.\w+", text)
    assert len(scripts) == 6
    for script in scripts:
        source = await (await api.request("GET", script)).text()
        assert not re.search(r"https?://", source)
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "localStorage",
                     "sessionStorage", "indexedDB", "document.cookie", "pushState", "replaceState", "@import",
                     "url("):  # fmt: skip
            assert word not in source


async def test_the_field_remembers_nothing(api: Api) -> None:
    text = await (await api.request("GET", "/inspect")).text()
    [field] = [attributes for tag, attributes in Elements(text).found if tag == "textarea"]
    assert (field["spellcheck"], field["autocomplete"], field["autocapitalize"]) == ("false", "off", "off")
    assert "name" not in field


async def test_the_docs_page_and_this_one_lead_to_each_other(api: Api) -> None:
    assert '<a href="/inspect"' in await (await api.request("GET", "/docs")).text()
    assert '<a href="/docs"' in await (await api.request("GET", "/inspect")).text()
