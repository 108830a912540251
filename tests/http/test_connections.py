"""What one connection can do to the others: its work comes in small steps, and it is not kept for ever (CWE-400)."""

from __future__ import annotations

import asyncio
import asyncio.events
import gc
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
from aiohttp import web
from aiohttp.streams import StreamReader

from server.http import connection
from server.http.connection import EdgeProtocol
from server.http.leftovers import unread_bytes
from tests.running import PASSWORD, Api

on_sqlite = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
DEADLINE_SECONDS = 20
HEADERS = "Host: x\r\nContent-Type: application/json\r\n"


@asynccontextmanager
async def connected(api: Api) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(api.client.host, api.client.port)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield reader, writer
    finally:
        writer.transport.abort()


async def status_after(api: Api, request: bytes) -> int:
    async with connected(api) as (reader, writer):
        writer.write(request)
        return int((await reader.readline()).split()[1])


@pytest.fixture
def chunks_in_a_step(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Chunks of bodies that were parsed in each step of the event loop, in which nobody else is served."""
    counts = [0]
    run, end = asyncio.events.Handle._run, StreamReader.end_http_chunk_receiving

    def counted_run(handle: asyncio.events.Handle) -> None:
        counts.append(0)
        run(handle)

    def counted_end(body: StreamReader) -> None:
        counts[-1] += 1
        end(body)

    monkeypatch.setattr(asyncio.events.Handle, "_run", counted_run)
    monkeypatch.setattr(StreamReader, "end_http_chunk_receiving", counted_end)
    return counts


@on_sqlite
@pytest.mark.parametrize(
    ("route", "status"), [("POST /login", 400), ("POST /users", 401), ("POST /nothing", 404), ("GET /health/live", 200)]
)
async def test_a_body_of_tiny_chunks_is_parsed_in_small_steps(
    api: Api, chunks_in_a_step: list[int], route: str, status: int
) -> None:
    head = f"{route} HTTP/1.1\r\n{HEADERS}Transfer-Encoding: chunked\r\n\r\n"
    body = "1\r\n{\r\n" + "1\r\n \r\n" * 60_000 + "1\r\n}\r\n0\r\n\r\n"
    assert await status_after(api, (head + body).encode()) == status
    assert 0 < max(chunks_in_a_step) <= 3 * connection.READ_BUFFER_BYTES // 16


@on_sqlite
async def test_a_body_of_sane_chunks_is_taken_whole(api: Api) -> None:
    """Larger than what is held unread, and cut in all places."""
    body = json.dumps({"username": "lak", "password": PASSWORD}).replace(", ", "," + " " * 40_000).encode()
    for size in (7, 1_000, 16_384, len(body)):
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        head = f"POST /login HTTP/1.1\r\n{HEADERS}Transfer-Encoding: chunked\r\n\r\n".encode()
        assert await status_after(api, head + chunks + b"0\r\n\r\n") == 200


@on_sqlite
async def test_thousands_of_unknown_fields_are_one_error(api: Api) -> None:
    response = await api.request("POST", "/login", json={f"field {number}": 0 for number in range(3_000)})
    problem = await api.problem(response, 422, "invalid_request")
    assert problem["errors"] == [{"field": "body", "message": "There are more than 100 fields."}]


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Only what is in no cycle is freed: the server collects seldom, so that checked requests are cheap."""
    gc.collect()
    # What tests before this one have left is no matter: is_left() does not see it any more.
    gc.freeze()
    gc.disable()
    yield
    gc.enable()


def is_left(kind: type) -> bool:
    return any(type(thing) is kind for thing in gc.get_objects())


@on_sqlite
@pytest.mark.usefixtures("no_collector")
async def test_nothing_of_a_request_waits_for_the_collector(api: Api) -> None:
    chunked = f"HTTP/1.1\r\n{HEADERS}Transfer-Encoding: chunked\r\n\r\n"
    requests = {
        f"GET /nothing HTTP/1.1\r\n{HEADERS}\r\n": 404,
        f"PUT /login HTTP/1.1\r\n{HEADERS}\r\n": 405,
        f"GET /me HTTP/1.1\r\n{HEADERS}\r\n": 401,
        f"GET /me HTTP/1.1\r\n{HEADERS}Expect: tea\r\n\r\n": 400,
        f"POST /login HTTP/1.1\r\n{HEADERS}Content-Length: 2\r\n\r\n[]": 400,
        # These clients leave while the server waits for the rest.
        f"POST /login {chunked}11000\r\n{'x' * 0x11000}\r\n": 413,
        f"POST /users {chunked}1\r\n": 401,
        f"POST /users {chunked}zz\r\n": 400,
        f"GET /{'x' * 10_000}": 400,
    }
    for request, status in requests.items():
        assert await status_after(api, request.encode()) == status
        async with asyncio.timeout(DEADLINE_SECONDS):
            while is_left(EdgeProtocol) or is_left(web.Request):  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0)


@pytest.mark.usefixtures("no_collector")
async def test_what_a_request_leaves_open_does_not_hold_the_request(api: Api) -> None:
    """Connections to the database and timers keep the context in which they were made (CWE-316, CWE-401)."""
    token = await api.token("sahan")
    me, users = (
        f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n" for path in ("/me", "/users")
    )
    at_once = [
        status_after(api, request) for request in (login_of(), login_of("wrong"), me.encode(), users.encode()) * 3
    ]
    assert sorted(await asyncio.gather(*at_once)) == [200] * 9 + [400] * 3
    await api.client.close()
    async with asyncio.timeout(DEADLINE_SECONDS):
        while is_left(EdgeProtocol) or is_left(web.Request):  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)


async def ask_for_ever(api: Api, path: str) -> None:
    """Read nothing of what is answered."""
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.setblocking(False)
        await loop.sock_connect(client, (api.client.host, api.client.port))
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                await loop.sock_sendall(client, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 100)


@on_sqlite
@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/.well-known/jwks.json", "/me", "/nothing"])
async def test_a_client_that_reads_no_answer_is_cut_off(api: Api, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(connection, "WRITE_SECONDS", 0.05)
    with pytest.raises(ConnectionError):
        await ask_for_ever(api, path)


def connections_of(api: Api) -> list[EdgeProtocol]:
    runner = api.client.server.runner
    assert runner is not None
    assert runner.server is not None
    return cast("list[EdgeProtocol]", runner.server.connections)


async def a_paused_connection(api: Api) -> tuple[EdgeProtocol, asyncio.Transport]:
    """One whose client has an answer to read."""
    while True:
        for protocol in connections_of(api):
            if protocol.writing_paused and protocol.transport is not None:
                return protocol, protocol.transport
        await asyncio.sleep(0)


@on_sqlite
async def test_a_client_that_reads_late_or_slowly_gets_everything(api: Api) -> None:
    count = 200
    async with connected(api) as (reader, writer):
        writer.write(b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n" * (count - 1))
        writer.write(b"GET /docs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        protocol, transport = await a_paused_connection(api)
        left = transport.get_write_buffer_size()
        received = bytearray()
        while transport.get_write_buffer_size() == left:
            received += await reader.read(1_000)
        # The deadline has come, and something was taken since it was set.
        protocol._watch_writing(transport, left)
        assert not transport.is_closing()
        while data := await reader.read(100_000):
            received += data
    assert received.count(b"HTTP/1.1 200 ") == count


@on_sqlite
async def test_a_client_that_reads_slower_than_the_system_asks_for_more_is_not_cut_off(api: Api) -> None:
    """The system wants more only when a third of its buffer is free: at 1 KB a second that takes minutes."""
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1_448)
        client.setblocking(False)
        async with asyncio.timeout(DEADLINE_SECONDS):
            await loop.sock_connect(client, (api.client.host, api.client.port))
            await loop.sock_sendall(client, b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
            protocol, transport = await a_paused_connection(api)
            waiting, left = 0, 0
            while transport.get_write_buffer_size() != waiting or unread_bytes(transport) == left:
                waiting, left = transport.get_write_buffer_size(), unread_bytes(transport)
                await loop.sock_recv(client, 1_000)
        protocol._watch_writing(transport, left)
        assert not transport.is_closing()
        protocol._watch_writing(transport, unread_bytes(transport))
        assert transport.is_closing()


@on_sqlite
async def test_a_client_that_reads_no_answer_is_cut_off_at_the_end(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CANCELLING_SECONDS", 0.0)
    async with connected(api) as (_, writer):
        writer.write(b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
        protocol, _ = await a_paused_connection(api)
        await protocol.shutdown(0.05)
        while protocol in connections_of(api):  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)


def statuses_of(answers: bytes) -> list[int]:
    return [int(part[2:5]) for part in answers.split(b"HTTP/1.")[1:]]


LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = LIVE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


def login_of(password: str = PASSWORD, spaces: int = 0) -> bytes:
    body = json.dumps({"username": "lak", "password": password}).replace(", ", "," + " " * spaces)
    return f"POST /login HTTP/1.1\r\n{HEADERS}Content-Length: {len(body)}\r\n\r\n{body}".encode()


@on_sqlite
@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        (LIVE, [200]),
        (LIVE * 3, [200] * 3),
        (LIVE * 100, [200] * 100),
        (login_of(), [200]),
        (login_of("wrong") + LIVE, [400, 200]),
        (LAST, [200]),
        (b"GET /\xff\0 HTTP/1.1\r\n\r\n", [400]),
        (LIVE + b"GET / HT", [200]),
        # Half a request is none.
        (b"GET / HT", []),
    ],
)
async def test_who_closes_only_its_side_is_answered(
    api: Api, monkeypatch: pytest.MonkeyPatch, sent: bytes, statuses: list[int]
) -> None:
    """RFC 9293 section 3.6: `printf ... | nc -N`, and a few programs, close their side behind the request."""
    monkeypatch.setattr(connection, "HALF_CLOSED_SECONDS", DEADLINE_SECONDS)
    async with connected(api) as (reader, writer):
        writer.write(sent)
        writer.write_eof()
        assert statuses_of(await reader.read()) == statuses


@on_sqlite
async def test_work_for_who_has_left_is_given_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HALF_CLOSED_SECONDS", 0.05)
    waits, gave_up = asyncio.Event(), asyncio.Event()

    async def check_for_ever(*_: object) -> bool:
        waits.set()
        try:
            await asyncio.Event().wait()
        finally:
            gave_up.set()
        return False

    monkeypatch.setattr(type(api.services.hashes), "verify", check_for_ever)
    async with connected(api) as (_, writer):
        writer.write(login_of())
        await waits.wait()
        writer.close()
        await gave_up.wait()
    async with connected(api) as (reader, writer):
        writer.write(login_of()[:-1])
        writer.write_eof()
        assert await reader.read() == b""


@on_sqlite
@pytest.mark.usefixtures("no_collector")
async def test_who_leaves_before_100_continue_is_no_failure(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    for route, length in (("POST /login", "Content-Length: 9"), ("PUT /nothing", "Transfer-Encoding: chunked")):
        with socket.create_connection((str(api.client.host), api.client.port or 0)) as client:
            client.sendall(f"{route} HTTP/1.1\r\n{HEADERS}Expect: 100-continue\r\n{length}\r\n\r\n".encode())
        # Connections are accepted in their order.
        assert await status_after(api, LAST) == 200
        async with asyncio.timeout(DEADLINE_SECONDS):
            while is_left(EdgeProtocol) or is_left(web.Request):  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0)
    assert "failed" not in "".join(capsys.readouterr())


@on_sqlite
async def test_a_large_request_takes_nothing_from_the_head_of_the_next(api: Api) -> None:
    head = LAST.replace(b"\r\n\r\n", b"\r\nX: " + b"x" * 7_000 + b"\r\n\r\n")
    chunks = f"POST /login HTTP/1.1\r\n{HEADERS}Transfer-Encoding: chunked\r\n\r\nf000\r\n{' ' * 0xF000}\r\n0\r\n\r\n"
    for request, status in ((login_of(spaces=60_000), 200), (chunks.encode(), 400)):
        async with connected(api) as (reader, writer):
            writer.write(request)
            assert int((await reader.readline()).split()[1]) == status
            protocol = connections_of(api)[-1]
            before = protocol._unfinished_bytes
            writer.write(head[:6_000])
            while protocol._unfinished_bytes == before:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0)
            writer.write(head[6_000:])
            assert statuses_of(await reader.read()) == [200]


@on_sqlite
@pytest.mark.parametrize("protocol", ["websocket", "h2c", "tcp"])
async def test_an_upgrade_whose_body_comes_late_leaves_no_connection_waiting(api: Api, protocol: str) -> None:
    async with connected(api) as (reader, writer):
        headers = f"{HEADERS}Connection: Upgrade\r\nUpgrade: {protocol}\r\nContent-Length: 2\r\n\r\n"
        writer.write(f"PATCH /me HTTP/1.1\r\n{headers}".encode())
        assert int((await reader.readline()).split()[1]) == 401
        writer.write(b"{}" + LAST)
        # The connection is closed, whether the second request is answered or not.
        assert statuses_of(await reader.read()) in ([], [200])
