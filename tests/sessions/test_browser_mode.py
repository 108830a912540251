"""The refresh token in a cookie, and the guard against other sites' requests (OWASP CSRF prevention, RFC 6265bis)."""

from __future__ import annotations

import asyncio
import json
import re
from functools import partial
from http.cookies import SimpleCookie
from typing import Any

import aiohttp
import jwt
import pytest
from yarl import URL

from server.authentication.device import DeviceCookies
from server.sessions.cookies import DEVICE_COOKIE, SESSION_COOKIE
from server.settings.tree import CorsSettings
from tests.running import PASSWORD, Api, StartApi
from tests.sessions.refreshing import is_alive

ORIGIN = "https://app.example.com"
CREDENTIALS = {"username": "lak", "password": PASSWORD, "cookie": True}


@pytest.fixture
async def api(start_api: StartApi) -> Api:
    return await start_api(cors=CorsSettings(origins=(ORIGIN,)))


def cookie_in(response: aiohttp.ClientResponse) -> Any:
    cookies = SimpleCookie(response.headers["Set-Cookie"])
    assert list(cookies) == [SESSION_COOKIE]
    return cookies[SESSION_COOKIE]


async def log_in(api: Api, **headers: str) -> tuple[dict[str, Any], str]:
    """The answer's body, and the refresh token in its cookie."""
    response = await api.request("POST", "/login", json=CREDENTIALS, headers=headers)
    assert response.status == 200, await response.text()
    return await response.json(), cookie_in(response).value


def session_in(access_token: str) -> str:
    session_id: str = jwt.decode(access_token, options={"verify_signature": False})["sid"]
    return session_id


def with_cookie(token: str, **headers: str) -> dict[str, str]:
    return {"Cookie": f"{SESSION_COOKIE}={token}", **{name.replace("_", "-"): value for name, value in headers.items()}}


async def test_the_refresh_token_is_in_the_cookie_and_nowhere_else(api: Api) -> None:
    response = await api.request("POST", "/login", json=CREDENTIALS)
    assert set(await response.json()) == {"token", "token_type", "expires_in"}
    cookie = cookie_in(response)
    assert SESSION_COOKIE.startswith("__Host-")
    assert (cookie["path"], cookie["domain"], cookie["samesite"]) == ("/", "", "Strict")
    assert cookie["secure"] is True
    assert cookie["httponly"] is True
    assert cookie["max-age"] == "1209600"
    assert response.headers["Cache-Control"] == "no-store"


async def test_without_the_wish_for_a_cookie_there_is_none_but_the_device_cookie(api: Api) -> None:
    response = await api.request("POST", "/login", json=CREDENTIALS | {"cookie": False})
    (device,) = response.headers.getall("Set-Cookie")
    assert device.startswith(f"{DEVICE_COOKIE}=wwd_")
    assert "refresh_token" in await response.json()


async def test_refreshing_from_the_cookie_moves_it_on(api: Api) -> None:
    first, token = await log_in(api)
    response = await api.request("POST", "/refresh", headers=with_cookie(token))
    body = await response.json()
    assert (response.status, set(body)) == (200, set(first))
    successor = cookie_in(response).value
    assert successor != token
    assert (await api.request("POST", "/refresh", headers=with_cookie(successor))).status == 200


async def test_logging_out_with_the_cookie_takes_it_away(api: Api) -> None:
    answer, token = await log_in(api)
    response = await api.request("POST", "/logout", headers=with_cookie(token))
    assert response.status == 204
    cookie = cookie_in(response)
    assert (cookie.value, cookie["max-age"], cookie["path"]) == ("", "0", "/")
    assert cookie["secure"] is True
    assert not await is_alive(api, answer["token"])
    await api.problem(await api.request("POST", "/refresh", headers=with_cookie(token)), 401, "refresh_invalid")


CROSS_SITE = [
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
    {"Sec_Fetch_Site": "none"},
    {"Sec_Fetch_Site": "nonsense"},
    {"Sec_Fetch_Site": "cross-site", "Origin": "https://evil.example"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": ORIGIN + ".evil.example"},
    {"Origin": "http" + ORIGIN.removeprefix("https")},
    {"Origin": ORIGIN + ":444"},
    {"Origin": "https://[bad"},
]


@pytest.mark.parametrize("headers", CROSS_SITE)
@pytest.mark.parametrize("path", ["/refresh", "/logout"])
async def test_another_site_can_not_use_the_cookie(api: Api, path: str, headers: dict[str, str]) -> None:
    answer, token = await log_in(api)
    response = await api.request("POST", path, headers=with_cookie(token, **headers))
    await api.problem(response, 403, "csrf")
    assert "Set-Cookie" not in response.headers
    assert await is_alive(api, answer["token"])
    # No step was taken either: the token is still the newest.
    found = await api.services.repositories.sessions.get_session(api.services.refresh_rotation.session_of(token) or "")
    assert found is not None
    assert found.session.step == 0


@pytest.mark.parametrize("headers", CROSS_SITE)
async def test_another_site_can_not_log_its_victim_in(api: Api, headers: dict[str, str]) -> None:
    """Login CSRF: a victim that works in the attacker's account."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await api.request("POST", "/login", json=CREDENTIALS, headers=sent)
    await api.problem(response, 403, "csrf")
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "cross-site", "Origin": ORIGIN},
        {"Sec_Fetch_Site": "same-site", "Origin": ORIGIN},
        {"Origin": ORIGIN},
    ],
)
async def test_the_own_site_and_the_allowed_origins_can(api: Api, headers: dict[str, str]) -> None:
    _, token = await log_in(api, **{name.replace("_", "-"): value for name, value in headers.items()})
    response = await api.request("POST", "/refresh", headers=with_cookie(token, **headers))
    assert response.status == 200
    if "Origin" in headers:
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert response.headers["Access-Control-Allow-Credentials"] == "true"


async def test_the_own_origin_can(api: Api) -> None:
    _, token = await log_in(api)
    own = str(URL(str(api.client.make_url("/"))).origin())
    response = await api.request("POST", "/refresh", headers=with_cookie(token, Origin=own))
    assert response.status == 200


async def test_a_refresh_token_in_the_body_needs_no_origin(api: Api) -> None:
    """A body with a token is no forgery: another site does not have it."""
    answer = await api.log_in("lak")
    headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    body = {"refresh_token": answer["refresh_token"]}
    response = await api.request("POST", "/refresh", json=body, headers=headers)
    assert response.status == 200
    assert "Access-Control-Allow-Origin" not in response.headers


async def test_cookie_and_body_of_different_sessions_are_refused(api: Api) -> None:
    _, token = await log_in(api)
    other = await api.log_in("lak")
    for path in ("/refresh", "/logout"):
        body = {"refresh_token": other["refresh_token"]}
        response = await api.request("POST", path, json=body, headers=with_cookie(token))
        await api.problem(response, 400, "session_conflict")
    assert await is_alive(api, other["token"])
    assert (await api.request("POST", "/refresh", headers=with_cookie(token))).status == 200


async def test_cookie_and_bearer_of_different_sessions_are_refused(api: Api) -> None:
    answer, token = await log_in(api)
    other = await api.log_in("lak")
    for path in ("/refresh", "/logout"):
        response = await api.request("POST", path, other["token"], headers=with_cookie(token))
        await api.problem(response, 400, "session_conflict")
    assert await is_alive(api, other["token"])
    assert await is_alive(api, answer["token"])


async def test_cookie_and_bearer_of_one_session_agree(api: Api) -> None:
    answer, token = await log_in(api)
    response = await api.request("POST", "/refresh", answer["token"], headers=with_cookie(token))
    assert response.status == 200
    # An access token that has expired says nothing against the cookie: to get a new one is what it is for.
    api.clock.advance(301)
    again = await api.request("POST", "/refresh", answer["token"], headers=with_cookie(cookie_in(response).value))
    assert again.status == 200


async def test_bearer_and_refresh_token_of_different_sessions_are_refused(api: Api) -> None:
    one, two = await api.log_in("lak"), await api.log_in("lak")
    body = {"refresh_token": two["refresh_token"]}
    for path in ("/refresh", "/logout"):
        response = await api.request("POST", path, one["token"], json=body)
        await api.problem(response, 400, "session_conflict")
    assert await is_alive(api, one["token"])
    assert await is_alive(api, two["token"])


async def test_the_cookie_is_no_way_into_protected_routes(api: Api) -> None:
    _, token = await log_in(api)
    await api.problem(await api.request("GET", "/me", headers=with_cookie(token)), 401, "token_missing")


@pytest.mark.parametrize("value", ["", "x", "wwr_", '"', "a=b;" * 50, "\u00e9"])
async def test_a_cookie_that_is_no_token(api: Api, value: str) -> None:
    response = await api.request("POST", "/refresh", headers=with_cookie(value))
    await api.problem(response, 401, "refresh_invalid")
    # It may be the answer to an old request, and another tab may have logged in since.
    assert "Set-Cookie" not in response.headers


async def test_logging_out_clears_a_cookie_that_is_no_token(api: Api) -> None:
    """No script could."""
    response = await api.request("POST", "/logout", headers=with_cookie("wwr_nonsense"))
    await api.problem(response, 401, "refresh_invalid")
    assert (cookie_in(response).value, cookie_in(response)["max-age"]) == ("", "0")


async def test_an_empty_cookie_is_none(api: Api) -> None:
    token = (await api.log_in("lak"))["token"]
    response = await api.request("POST", "/logout", token, headers=with_cookie(""))
    assert response.status == 204
    assert not await is_alive(api, token)


# What another host of the site may plant: {} is the name of one of our cookies and a value of the attacker's.
PLANTED = [
    b"theme=dark {}",
    b"theme=dark, {}",
    b'theme="\\" {}',
    "\u00a0{}".encode(),
    b"\xa0{}",
    b"theme=\x85{}",
    b"a\t{}",
    b"={}",
]


async def posted(api: Api, path: str, cookie: bytes, body: bytes = b"", fields: bytes = b"") -> bytes:
    """The answer to a POST whose Cookie field has just these bytes."""
    reader, writer = await asyncio.open_connection(api.client.host, api.client.port)
    head = f"POST {path} HTTP/1.1\r\nHost: auth\r\nConnection: close\r\nContent-Length: {len(body)}\r\n".encode()
    writer.write(head + fields + b"Cookie: " + cookie + b"\r\n\r\n" + body)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_what_another_host_of_the_site_plants_is_not_read_as_ours(api: Api) -> None:
    """Or its page would put the victim into the attacker's account (RFC 6265 section 8.6)."""
    attackers, theirs = await log_in(api)
    for planted in PLANTED:
        cookie = planted.replace(b"{}", f"{SESSION_COOKIE}={theirs}".encode())
        for path, code in (("/refresh", b"refresh_invalid"), ("/logout", b"token_missing")):
            answer = await posted(api, path, cookie)
            assert answer.startswith(b"HTTP/1.1 401"), answer
            assert code in answer
            assert b"Set-Cookie" not in answer
        victims, own = await log_in(api)
        for whole in (cookie + f"; {SESSION_COOKIE}={own}".encode(), f"{SESSION_COOKIE}={own}; ".encode() + cookie):
            answer = await posted(api, "/refresh", whole)
            token = json.loads(answer.partition(b"\r\n\r\n")[2])["token"]
            assert session_in(token) == session_in(victims["token"])
        assert (await posted(api, "/logout", whole)).startswith(b"HTTP/1.1 204")
        assert not await is_alive(api, victims["token"])
    assert await is_alive(api, attackers["token"])


async def test_a_planted_device_cookie_takes_the_place_of_no_devices_own(api: Api) -> None:
    response = await api.request("POST", "/login", json=CREDENTIALS | {"cookie": False})
    mark = SimpleCookie(response.headers["Set-Cookie"])[DEVICE_COOKIE].value
    other = SimpleCookie((await api.request("POST", "/login", json=CREDENTIALS)).headers.getall("Set-Cookie")[1])
    body = json.dumps(CREDENTIALS).encode()
    devices = DeviceCookies(partial(api.services.keys.current.token_key, "device mark"), api.services.ids)
    user = await api.services.repositories.users.find_credentials("lak")
    assert user is not None
    for planted in PLANTED:
        cookie = planted.replace(b"{}", f"{DEVICE_COOKIE}={other[DEVICE_COOKIE].value}".encode())
        for whole in (cookie + f"; {DEVICE_COOKIE}={mark}".encode(), f"{DEVICE_COOKIE}={mark}; ".encode() + cookie):
            answer = await posted(api, "/login", whole, body, b"Content-Type: application/json\r\n")
            (renewed,) = re.findall(rf"Set-Cookie: {DEVICE_COOKIE}=(\w[^;]*)".encode(), answer)
            assert devices.device_of(renewed.decode(), user.user.id) == devices.device_of(mark, user.user.id)


async def test_of_two_cookies_of_the_name_none_is_believed(api: Api) -> None:
    answer, token = await log_in(api)
    _, other = await log_in(api)
    cookie = f"{SESSION_COOKIE}={token}; {SESSION_COOKIE}={other}".encode()
    for path in ("/refresh", "/logout"):
        for sent in (cookie, cookie.replace(b"; ", b"\r\nCookie: ")):
            assert (await posted(api, path, sent)).startswith(b"HTTP/1.1 401")
    assert await is_alive(api, answer["token"])


# A body that is none, as proxies and clients send it.
NO_BODY = [
    b"",
    b"Content-Length: 0",
    b"Content-Type: application/json\r\nContent-Length: 0",
    b"Content-Type: text/plain\r\nContent-Length: 0",
    b"Content-Length: 4\r\n\r\n \t\r\n",
    b"Content-Type: application/json\r\nContent-Length: 1\r\n\r\n\n",
    b"Content-Type: text/plain\r\nContent-Length: 1\r\n\r\n ",
    b"Transfer-Encoding: chunked\r\n\r\n0",
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0",
    b"Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n0",
    b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0",
    b"Transfer-Encoding: chunked\r\n\r\n2\r\n \n\r\n0",
]


async def test_no_body_is_none_in_whatever_way_it_is_sent(api: Api) -> None:
    """Some proxies send one in chunks (RFC 9112 section 7.1) of which only the last is there, and it is empty."""
    reader, writer = await asyncio.open_connection(api.client.host, api.client.port)

    async def ask(path: str, credential: str, fields: bytes) -> bytes:
        """The head of the answer, on a connection that goes on with the next one."""
        writer.write(f"POST {path} HTTP/1.1\r\nHost: auth\r\n{credential}\r\n".encode() + fields)
        writer.write(b"\r\n\r\n" if b"\r\n\r\n" not in fields or fields.endswith(b"0") else b"")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        length = re.search(rb"Content-Length: (\d+)", head)
        await reader.readexactly(int(length[1]) if length else 0)
        return head

    for fields in NO_BODY:
        _, token = await log_in(api)
        head = await ask("/refresh", f"Cookie: {SESSION_COOKIE}={token}", fields)
        assert head.startswith(b"HTTP/1.1 200"), (fields, head)
        token = SimpleCookie(re.findall(rb"Set-Cookie: (.*)\r", head)[0].decode())[SESSION_COOKIE].value
        assert (await ask("/logout", f"Cookie: {SESSION_COOKIE}={token}", fields)).startswith(b"HTTP/1.1 204"), fields
        bearer = f"Authorization: Bearer {await api.token('lak')}"
        assert (await ask("/logout", bearer, fields)).startswith(b"HTTP/1.1 204"), fields
    writer.close()
    await writer.wait_closed()


async def test_a_body_that_is_there_is_judged(api: Api) -> None:
    _, token = await log_in(api)
    for path in ("/refresh", "/logout"):
        for body, content_type, status, code in (
            (b"x", "text/plain", 415, "unsupported_media_type"),
            (b" {}", "text/plain", 415, "unsupported_media_type"),
            (b"\x00", "application/json", 400, "invalid_json"),
            ("\u00a0".encode(), "application/json", 400, "invalid_json"),
            (b" {", "application/json", 400, "invalid_json"),
            (b" " * 65537, "text/plain", 413, "payload_too_large"),
            (b'{"token": 1}', "application/json", 422, "invalid_request"),
        ):
            headers = with_cookie(token, Content_Type=content_type)
            await api.problem(await api.request("POST", path, data=body, headers=headers), status, code)
        headers = with_cookie(token, Content_Type="application/json")
        assert (await api.request("POST", path, data=b" {} ", headers=headers)).ok
