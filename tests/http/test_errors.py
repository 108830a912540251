"""Every failure is a problem of RFC 9457, whatever the bytes."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest
from aiohttp import web

from server.app import create_runner
from server.core.errors import ConfigurationError
from server.settings.tree import ServerSettings
from tests.running import Api, StartApi

JSON = {"Content-Type": "application/json"}


async def raw(api: Api, request: bytes, *, half_close: bool = False) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Send bytes as they are; read one answer until the server closes."""
    reader, writer = await asyncio.open_connection(api.client.host, api.client.port)
    try:
        writer.write(request)
        await writer.drain()
        if half_close:
            writer.write_eof()
        head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    finally:
        writer.close()
        await writer.wait_closed()
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return int(lines[0].split()[1]), headers, json.loads(body)


async def test_unknown_path(api: Api) -> None:
    await api.problem(await api.request("GET", "/nothing"), 404, "not_found")


async def test_wrong_method_says_which_are_right(api: Api) -> None:
    response = await api.request("DELETE", "/users")
    await api.problem(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"x"', b"null", b"{} {}", b'{"username": NaN}', b'{"a":1,"a":2}', b"\xff\xfe{}",
    b"\xef\xbb\xbf{}",
     b'{"username": "\xc3"}', b'{"username": "\\ud800"}', b'{"\\udfff": 1}', b"[" * 50000, b'{"a":' * 9000, b"9" *
     5000],
)  # fmt: skip
async def test_what_is_not_a_json_object(api: Api, body: bytes) -> None:
    await api.problem(await api.request("POST", "/login", data=body, headers=JSON), 400, "invalid_json")


# Not application/json in UTF-8.
OTHER_MEDIA_TYPES = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/jsonp",
    "",
    "x",
    "application/json, application/json",
    "application/json; charset=utf-16",
    "application/json; charset=utf-8; charset=utf-7",
    "application/json; charset=",
    "application/json; charset=latin1; charset=utf8",
    'application/json; charset="utf-8',
    "application/json charset=utf-8",
    "application/json; charset=utf--8",
    "application/json; charset=utf8x",
    "application/json; charset='utf-8'",
]


async def test_another_media_type(api: Api) -> None:
    for content_type in OTHER_MEDIA_TYPES:
        response = await api.request("POST", "/login", data=b"{}", headers={"Content-Type": content_type})
        await api.problem(response, 415, "unsupported_media_type")


async def test_an_encoded_body_is_not_unpacked(api: Api) -> None:
    bomb = gzip.compress(b" " * 10_000_000)
    response = await api.request("POST", "/login", data=bomb, headers=JSON | {"Content-Encoding": "gzip"})
    await api.problem(response, 415, "unsupported_media_type")


async def test_accepted_media_types(api: Api) -> None:
    charsets = ("utf-8", "UTF-8", "utf8", "UTF8", "Utf8", '"utf-8"', '"UTF-8"', '"utf8"')
    spellings = ("application/json", "application/json;", 'Application/JSON; charset="UTF-8"', "application/json; ")
    for content_type in (
        *spellings,
        *(f"application/json; charset={charset}" for charset in charsets),
        *(f"application/json;Charset={charset};" for charset in charsets),
        "application/json ; charset = utf-8",
    ):
        response = await api.request("POST", "/login", data=b"{}", headers={"Content-Type": content_type})
        await api.problem(response, 422, "invalid_request")


async def test_a_body_over_the_limit(api: Api) -> None:
    async def chunks() -> Any:
        for _ in range(3):
            yield b"x" * 30000

    for body in (b"x" * 65537, chunks()):
        await api.problem(await api.request("POST", "/login", data=body, headers=JSON), 413, "payload_too_large")


async def test_a_body_of_just_the_limit(api: Api) -> None:
    body = json.dumps({"username": "lak", "password": "x"}).encode().ljust(65536)
    await api.problem(await api.request("POST", "/login", data=body, headers=JSON), 400, "invalid_credentials")


async def test_a_body_that_trickles_is_cut(start_api: StartApi) -> None:
    api = await start_api(server=ServerSettings(body_timeout_seconds=1))
    head = b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
    status, headers, body = await raw(api, head)
    assert (status, body["code"], headers["connection"]) == (408, "request_timeout", "close")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /me HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
        b"GET /me HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
        b"GET /me HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20000 + b"\r\n\r\n",
        b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    ],
)
async def test_what_is_refused_before_routing_is_a_problem_too(api: Api, request_bytes: bytes) -> None:
    status, headers, body = await raw(api, request_bytes)
    assert (status, body["code"]) == (400, "malformed_request")
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-request-id"] == body["request_id"]
    assert "aiohttp" not in headers.get("server", "")


async def test_a_chunked_body_that_breaks(api: Api) -> None:
    head = b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    status, _, body = await raw(api, head + b"zz\r\nabc\r\n")
    assert (status, body["code"]) == (400, "malformed_request")


async def test_an_unknown_expectation(api: Api) -> None:
    for path in (b"/me", b"/nothing"):
        request = b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nExpect: tea \xff\r\nConnection: close\r\n\r\n"
        status, headers, body = await raw(api, request)
        assert (status, body["code"]) == (400, "malformed_request")
        assert headers["x-request-id"] == body["request_id"]


async def test_repeated_authorization(api: Api) -> None:
    token = await api.token("lak")
    line = f"Authorization: Bearer {token}\r\n"
    request = f"GET /me HTTP/1.1\r\nHost: x\r\n{line}{line}Connection: close\r\n\r\n"
    status, _, body = await raw(api, request.encode())
    assert (status, body["code"]) == (401, "token_invalid")


@pytest.mark.parametrize("value", ["Basic bGFrOng=", "Bearer", "Bearer ", "Token x", ""])
async def test_no_bearer_token_in_the_header(api: Api, value: str) -> None:
    response = await api.request("GET", "/me", headers={"Authorization": value})
    await api.problem(response, 401, "token_missing")
    assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_a_head_request_has_the_status_and_no_body(api: Api) -> None:
    response = await api.request("HEAD", "/users", await api.token("sahan"))
    assert (response.status, await response.read()) == (200, b"")
    assert (await api.request("HEAD", "/users")).status == 401


async def test_a_defect_is_answered_without_detail(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("a detail nobody should see")

    monkeypatch.setattr(type(api.services.users), "get", broken)
    response = await api.request("GET", "/me", await api.token("lak"))
    await api.problem(response, 500, "internal_error")
    assert "nobody should see" not in await response.text()


async def test_a_route_without_a_row_does_not_start(api: Api) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    runner = create_runner(api.services)
    runner.app.router.add_get("/secret", handler)
    with pytest.raises(ConfigurationError, match="/secret: has no rule"):
        await runner.setup()
    await runner.cleanup()


@pytest.mark.parametrize("password", ["é" * 4000, "\ufdfa" * 300, "x" * 4096])
async def test_a_password_longer_than_the_hash_takes_is_a_wrong_one(api: Api, password: str) -> None:
    """CWE-1284: characters are not bytes, and NFKC makes eighteen of one."""
    for username in ("lak", "nobody"):
        response = await api.request("POST", "/login", json={"username": username, "password": password})
        await api.problem(response, 400, "invalid_credentials")


async def test_a_password_longer_than_the_hash_takes_can_not_be_set(api: Api) -> None:
    body = {"username": "new", "name": "New", "role": "customer", "password": "abcdé" * 800}
    problem = await api.problem(
        await api.request("POST", "/users", await api.token("sahan"), json=body), 422, "invalid_request"
    )
    assert problem["errors"] == [{"field": "password", "message": "Use at most 4096 bytes."}]


async def test_more_objects_than_any_request_has_are_not_looked_at(api: Api) -> None:
    body = b'{"username": [' + b"{}," * 5000 + b"1]}"
    problem = await api.problem(await api.request("POST", "/login", data=body, headers=JSON), 422, "invalid_request")
    assert problem["errors"] == [{"field": "body", "message": "There are more than 4500 opening braces."}]
    fitting = {"username": "lak", "password": "{" * 4096}
    await api.problem(await api.request("POST", "/login", json=fitting), 400, "invalid_credentials")
