"""Requests that are answered without a task get what others get, and cost no connection its order or its limits."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from server.http import connection as connections
from server.http import immediate
from server.http.connection import EdgeProtocol
from server.http.immediate import IMMEDIATE
from server.settings.tree import CorsSettings, ServerSettings
from tests.http.logged import Log, start_logged
from tests.running import Api, StartApi

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
DEADLINE_SECONDS = 20
LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


class Connection:
    """A client that sends bytes and reads one answer after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("ascii")
        status, *lines = head.rstrip("\r\n").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        return int(status.split()[1]), headers, await self.reader.readexactly(int(headers.get("Content-Length", "0")))

    async def ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        self.writer.write(request)
        return await self.answer()


@asynccontextmanager
async def connected(api: Api) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection(api.client.host, api.client.port)
    connection = Connection(reader, writer)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield connection
    finally:
        writer.transport.abort()


def verify(token: str | None, query: str = "", *more: str, method: str = "GET", version: str = "1.1") -> bytes:
    lines = [f"{method} /verify{query} HTTP/{version}", "Host: x", *more]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each request that was tried without a task, whether it was answered."""
    found: list[bool] = []
    result: Callable[[Any], web.StreamResponse | None] = immediate.result_at_once

    def noted(answering: Any) -> web.StreamResponse | None:
        answer = result(answering)
        found.append(answer is not None)
        return answer

    monkeypatch.setattr("server.http.runner.result_at_once", noted)
    return found


def comparable(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, list[tuple[str, str]], bytes]:
    """Without what differs from one request to the next."""
    status, headers, body = answer
    request_id = headers.pop("X-Request-Id")
    assert headers.pop("Date")
    return status, sorted(headers.items()), body.replace(request_id.encode(), b"")


@pytest.mark.parametrize(
    ("query", "more", "status"),
    [
        ("", [], 204),
        ("?role=customer", [], 204),
        ("?role=admin", [], 403),
        ("?role=nobody", [], 422),
        ("?role=%ff", [], 422),
        ("?colour=red", [], 422),
        ("?", [], 204),
        ("", ["Origin: https://app.example.com"], 204),
        ("", ["Origin: https://other.example.com"], 204),
        ("", ["Authorization: Bearer twice"], 401),
    ],
)
async def test_the_answer_is_the_same_as_with_a_task(
    start_api: StartApi, at_once: list[bool], query: str, more: list[str], status: int
) -> None:
    api = await start_api(cors=CorsSettings(origins=("https://app.example.com",)))
    token = await api.token("lak")
    request = verify(token, query, *more)
    async with connected(api) as connection:
        # A token that was not seen before may have to wait for keys.
        await connection.ask(verify(token))
        at_once.clear()
        known = await connection.ask(request)
        assert at_once == [True]
        # What comes together has a task.
        connection.writer.write(LIVE + request)
        await connection.answer()
        ordinary = await connection.answer()
    assert at_once == [True]
    assert known[0] == status
    assert comparable(known) == comparable(ordinary)


@pytest.mark.parametrize("token", [None, "", "x", "a.b.c"])
async def test_a_token_that_is_none_is_refused_as_ever(api: Api, token: str | None) -> None:
    async with connected(api) as connection:
        known = await connection.ask(verify(token))
        connection.writer.write(LIVE + verify(token))
        await connection.answer()
        ordinary = await connection.answer()
    assert known[0] == 401
    assert comparable(known) == comparable(ordinary)


async def test_what_may_wait_begins_anew_in_a_task_and_happens_once(start_api: StartApi, at_once: list[bool]) -> None:
    log = Log()
    api = await start_logged(start_api, log)
    token = await api.token("lak")
    api.services.verifier.forget()
    async with connected(api) as connection:
        before = len(log.lines())
        assert (await connection.ask(verify(token)))[0] == 204
        assert (await connection.ask(verify(token)))[0] == 204
    assert at_once == [False, True]
    lines = log.lines()[before:]
    assert [(line["route"], line["status"]) for line in lines] == [("/verify", 204)] * 2
    assert len({line["request_id"] for line in lines}) == 2


async def test_a_logout_is_known_at_once(api: Api) -> None:
    token = await api.token("lak")
    async with connected(api) as connection:
        assert (await connection.ask(verify(token)))[0] == 204
        assert (await api.request("POST", "/logout", token)).status == 204
        status, _, body = await connection.ask(verify(token))
        assert (status, b"token_revoked" in body) == (401, True)


async def test_a_token_is_refused_from_its_exp_on(api: Api) -> None:
    token = await api.token("lak")
    lives = api.services.settings.tokens.access_ttl_seconds
    async with connected(api) as connection:
        api.clock.advance(lives - 1)
        assert (await connection.ask(verify(token)))[0] == 204
        api.clock.advance(1)
        status, _, body = await connection.ask(verify(token))
        assert (status, b"token_expired" in body) == (401, True)


@pytest.mark.parametrize(
    ("request_of", "status"),
    [
        (lambda token: verify(token, method="HEAD"), 204),
        (lambda token: verify(token, "", "Connection: close"), 204),
        (lambda token: verify(token, version="1.0"), 204),
        (lambda token: verify(token, "", "Content-Length: 2") + b"{}", 204),
        (lambda token: verify(token, "", "Transfer-Encoding: chunked") + b"0\r\n\r\n", 204),
        (lambda token: verify(token, "", "Connection: Upgrade", "Upgrade: websocket"), 204),
        (lambda token: verify(token).replace(b"/verify", b"/verif%79"), 204),
        (lambda token: verify(token).replace(b"/verify", b"http://x/verify"), 204),
        (lambda token: verify(token).replace(b"/verify", b"//verify"), 404),
        (lambda token: verify(token, method="DELETE"), 405),
        (lambda token: verify(token, "", "Expect: 200-ok"), 400),
    ],
)
async def test_what_is_out_of_the_ordinary_has_a_task(
    api: Api, at_once: list[bool], request_of: Callable[[str], bytes], status: int
) -> None:
    token = await api.token("lak")
    async with connected(api) as connection:
        connection.writer.write(request_of(token))
        assert int((await connection.reader.readline()).split()[1]) == status
    assert at_once == []


async def test_answers_come_in_the_order_of_the_requests(api: Api) -> None:
    """RFC 9112 section 9.3.2."""
    token = await api.token("lak")
    good, other, bad = verify(token), LIVE, verify("x")
    async with connected(api) as connection:
        for pieces in ([good, other, bad, good], [other, good], [good, good], [bad], [good[:40], good[40:] + other]):
            for piece in pieces:
                connection.writer.write(piece)
                # Sometimes together, sometimes each in a turn of its own.
                await asyncio.sleep(0)
            statuses = [(await connection.answer())[0] for _ in range(b"".join(pieces).count(b"HTTP/1.1"))]
            expected = b"".join(pieces).split(b"\r\n\r\n")[:-1]
            assert statuses == [200 if b"live" in one else 401 if b"Bearer x" in one else 204 for one in expected]


async def test_a_connection_that_asks_is_kept_and_one_that_does_not_is_closed(api: Api) -> None:
    """What was answered without a task puts off the end of the connection, too."""
    token = await api.token("lak")
    async with connected(api) as connection:
        assert (await connection.ask(verify(token)))[0] == 204
        [protocol] = [
            one
            for one in api.live.runner.edge_server.connections
            if isinstance(one, EdgeProtocol) and one.peername == connection.writer.get_extra_info("sockname")
        ]
        before = protocol._next_keepalive_close_time
        assert (await connection.ask(verify(token)))[0] == 204
        assert protocol._next_keepalive_close_time > before
        protocol._process_keepalive()
        assert (await connection.ask(verify(token)))[0] == 204
        # Its time has come.
        protocol._next_keepalive_close_time = 0
        protocol._process_keepalive()
        assert await connection.reader.read() == b""


async def test_at_the_end_of_the_server_an_answer_closes_its_connection(api: Api, at_once: list[bool]) -> None:
    token = await api.token("lak")
    async with connected(api) as connection:
        api.live.runner.edge_server.draining = True
        status, headers, _ = await connection.ask(verify(token))
        assert (status, headers["Connection"]) == (204, "close")
        assert await connection.reader.read() == b""
    assert at_once == []


async def test_other_settings_take_effect_between_two_requests(start_api: StartApi) -> None:
    api = await start_api()
    token = await api.token("lak")
    async with connected(api) as connection:
        assert (await connection.ask(verify(token)))[0] == 204
        changed = api.services.settings.model_copy(
            update={"server": ServerSettings(public_url="https://auth.example.com")}
        )
        await api.live.prepare(changed)
        api.live.take()
        status, _, body = await connection.ask(verify(None))
        assert (status, b'"type":"https://auth.example.com/docs#token_missing"' in body) == (401, True)


async def test_nothing_of_a_request_is_kept(api: Api, at_once: list[bool]) -> None:
    token = await api.token("lak")
    async with connected(api) as connection:
        await connection.ask(verify(token))
        # aiohttp keeps the latest request that has a task.
        await connection.ask(LIVE)
        at_once.clear()
        gc.collect()
        gc.disable()
        try:
            for request in (verify(token), verify(None), verify(token, "?role=admin")):
                await connection.ask(request)
            assert at_once == [True] * 3
            assert [one for one in gc.get_objects() if isinstance(one, web.Request) and one.path == "/verify"] == []
        finally:
            gc.enable()


async def test_who_closes_its_side_before_the_task_begins_is_not_held(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a crowd, uvloop reads the end of a connection before the task of that connection has had a turn."""
    monkeypatch.setattr(connections, "HALF_CLOSED_SECONDS", DEADLINE_SECONDS)
    here, there = socket.socketpair()
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=here)
    reader, writer = await asyncio.open_connection(sock=there)
    protocol = api.live.runner.edge_server.new_protocol()
    assert isinstance(protocol, EdgeProtocol)
    transport.set_protocol(protocol)
    try:
        protocol.connection_made(transport)
        protocol.data_received(verify(None))
        # The answer is not sent yet.
        assert EdgeProtocol.eof_received(protocol)
        async with asyncio.timeout(DEADLINE_SECONDS / 2):
            assert (await reader.read()).startswith(b"HTTP/1.1 401 ")
    finally:
        writer.transport.abort()
        transport.abort()


@pytest.mark.parametrize("request_bytes", [verify(None), LIVE])
async def test_a_defect_of_the_edge_is_answered(
    api: Api, monkeypatch: pytest.MonkeyPatch, request_bytes: bytes
) -> None:
    def defect(*_: object) -> None:
        raise RuntimeError("a defect")

    async with connected(api) as connection:
        await connection.ask(LIVE)
        monkeypatch.setattr("server.http.edge.Edge._note", defect)
        status, _, body = await connection.ask(request_bytes)
        assert (status, b"internal_error" in body) == (500, True)


async def test_the_immediate_routes_are_those_that_say_so(api: Api) -> None:
    found = api.live.runner.app[IMMEDIATE]
    targets = ("/verify", "/verify?role=x", "/me", "/", "/verify/", "/health/live")
    assert [target for target in targets if found.has(target)] == ["/verify", "/verify?role=x"]


@pytest.mark.parametrize(
    "request_of",
    [
        lambda token: LIVE,
        lambda token: LIVE.replace(b"/health/live", b"/nowhere"),
        lambda token: verify(token).replace(b"/verify", b"/me"),
        lambda token: verify(token).replace(b"/verify", b"/sessions"),
        lambda token: verify(token, "?role=admin").replace(b"/verify", b"/users"),
    ],
)
async def test_an_ordinary_answer_is_the_one_that_aiohttp_makes(
    api: Api, monkeypatch: pytest.MonkeyPatch, request_of: Callable[[str], bytes]
) -> None:
    """Its bytes are made in one step (server/http/encoding.py)."""
    request = request_of(await api.token("lak"))
    async with connected(api) as connection:
        ours = await connection.ask(request)
        monkeypatch.setattr("server.http.connection.is_plain", lambda *_: False)
        assert comparable(await connection.ask(request)) == comparable(ours)
        # RFC 9110 section 9.3.2: the same header fields, and no body.
        connection.writer.write(request.replace(b"GET", b"HEAD", 1))
        head = (await connection.reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
        assert sorted(line.partition(":")[0] for line in head[1:]) == sorted([*ours[1], "Date", "X-Request-Id"])
