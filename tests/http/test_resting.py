"""Connections that wait for a request cost little, and nothing that was sent on them is lost (CWE-400)."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

import pytest

from server.http import resting, runner, silent, watch
from server.http.runner import KEEPALIVE_SECONDS, EdgeServer
from server.http.silent import KEPT_BYTES, SilentConnection, is_beginning
from server.http.turns import Shared
from tests.http.test_connections import DEADLINE_SECONDS, connected, login_of, statuses_of
from tests.http.test_end import runner_of
from tests.running import Api

on_sqlite = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
REFUSED = b"GET /verify HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = LIVE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


@pytest.fixture
def server(api: Api, monkeypatch: pytest.MonkeyPatch) -> EdgeServer:
    """Its connections rest as soon as they are looked at, which only the tests do."""
    monkeypatch.setattr(resting, "REST_SECONDS", 0.0)
    monkeypatch.setattr(resting, "CROWDED_SECONDS", 0.0)
    return runner_of(api).edge_server


async def answer(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    _, _, length = head.partition("Content-Length: ")
    await reader.readexactly(int(length.split("\r\n")[0] or 0))
    return int(head.split()[1])


async def until(speaking: int, server: EdgeServer) -> None:
    """Look at all connections until so many have a protocol."""
    while len(server.resting.speaking) > speaking:
        server.resting.look_at(len(server.resting.speaking))
        await asyncio.sleep(0)


async def look(server: EdgeServer) -> None:
    """Look again and again, as long as a connection that waits would need to be found."""
    for _ in range(20):
        server.resting.look_at(len(server.resting.speaking))
        await asyncio.sleep(0)


@on_sqlite
async def test_a_connection_that_rested_is_answered_again(api: Api, server: EdgeServer) -> None:
    lost: list[None] = []
    server.on_connection_lost = lambda: lost.append(None)
    async with connected(api) as (reader, writer):
        for request, status in ((LIVE, 200), (REFUSED, 401), (LIVE, 200)):
            writer.write(request)
            assert await answer(reader) == status
            await until(0, server)
            assert not lost
            assert len(server.by_latest_request) == 1
        writer.write(LIVE + REFUSED + LAST)
        assert statuses_of(await reader.read()) == [200, 401, 200]
    while server.by_latest_request:  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0)
    assert len(lost) == 1
    assert not server.resting.speaking


@on_sqlite
@pytest.mark.parametrize("parts", [1, 5, 20, len(LAST) - 1])
@pytest.mark.parametrize("first", [LIVE, REFUSED, LIVE * 40], ids=["live", "refused", "many"])
async def test_the_beginning_of_another_request_is_not_lost(
    api: Api, server: EdgeServer, first: bytes, parts: int
) -> None:
    async with connected(api) as (reader, writer):
        # In one piece with those before.
        writer.write(first + LAST[:parts])
        for _ in range(first.count(b"GET")):
            assert await answer(reader) in {200, 401}
        await look(server)
        assert len(server.resting.speaking) == 1
        writer.write(LAST[parts:])
        assert statuses_of(await reader.read()) == [200]


@on_sqlite
async def test_a_request_in_pieces_is_read_by_a_connection_that_rested(api: Api, server: EdgeServer) -> None:
    async with connected(api) as (reader, writer):
        writer.write(LIVE)
        assert await answer(reader) == 200
        await until(0, server)
        for place in range(len(LAST)):
            assert not server.resting.speaking
            writer.write(LAST[place : place + 1])
            await look(server)
        assert statuses_of(await reader.read()) == [200]


@on_sqlite
async def test_who_has_sent_a_body_does_not_rest(api: Api, server: EdgeServer) -> None:
    """How the parser stands behind a body can't be seen from outside."""
    async with connected(api) as (reader, writer):
        writer.write(login_of())
        assert await answer(reader) == 200
        await look(server)
        assert len(server.resting.speaking) == 1
        writer.write(LIVE)
        assert await answer(reader) == 200
        await until(0, server)


@on_sqlite
async def test_in_a_crowd_those_that_wait_rest_at_once(
    api: Api, server: EdgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resting, "MANY", 5)
    clients = [await asyncio.open_connection(api.client.host, api.client.port) for _ in range(30)]
    for reader, writer in clients:
        writer.write(LIVE)
        assert await answer(reader) == 200
    assert len(server.by_latest_request) == len(clients)
    assert len(server.resting.speaking) <= 7
    for reader, writer in clients:
        writer.write(LAST)
        assert statuses_of(await reader.read()) == [200]
        writer.close()


@on_sqlite
async def test_those_that_rest_are_closed_at_the_end(api: Api, server: EdgeServer) -> None:
    async with connected(api) as (reader, writer):
        writer.write(LIVE)
        assert await answer(reader) == 200
        await until(0, server)
        await runner_of(api).cleanup()
        assert await reader.read() == b""


@on_sqlite
@pytest.mark.parametrize("said", [b"", LIVE], ids=["nothing", "a request"])
@pytest.mark.parametrize("begun", [[b"GET / HTTP/1.0\r\n"], [b"GET /", b"x" * KEPT_BYTES]], ids=["odd", "long"])
async def test_half_a_head_begins_no_time_anew(api: Api, server: EdgeServer, said: bytes, begun: list[bytes]) -> None:
    """Whoever trickles a head would else have twice the time: once before it gets a parser, and once with it."""
    async with connected(api) as (reader, writer):
        writer.write(said)
        if said:
            assert await answer(reader) == 200
            await until(0, server)
        while not server.by_latest_request:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
        (silent_one,) = server.by_latest_request
        assert isinstance(silent_one, SilentConnection)
        silent_one.since = asyncio.get_running_loop().time() - KEEPALIVE_SECONDS + 0.2
        for piece in begun:
            writer.write(piece)
            await asyncio.sleep(0.01)
        assert len(server.resting.speaking) == 1
        assert await reader.read() == b""


@on_sqlite
@pytest.mark.parametrize("said", [b"", LIVE], ids=["nothing", "a request"])
async def test_at_the_end_who_has_spoken_is_answered(
    api: Api, server: EdgeServer, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    """Also those that wait for their turn in a crowd, when the server looks once in each turn whether all is done."""
    monkeypatch.setattr(silent, "MANY", 5)
    monkeypatch.setattr(watch, "WOKEN_IN_A_TURN", 2)
    monkeypatch.setattr(runner, "DRAIN_POLL_SECONDS", 0.0)
    clients = await crowd(api, 50)
    loop = asyncio.get_running_loop()
    for client in clients:
        await loop.sock_sendall(client, said)
        if said:
            await loop.sock_recv(client, 1_000)
    async with asyncio.timeout(DEADLINE_SECONDS):
        while len(server.by_latest_request) < len(clients):  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
        await until(0, server)
        for client in clients:
            await loop.sock_sendall(client, REFUSED)
        await runner_of(api).cleanup()
        for client in clients:
            assert statuses_of(await loop.sock_recv(client, 1_000)) == [401]
            client.close()


@on_sqlite
async def test_who_waits_for_its_turn_is_not_closed_for_another(
    api: Api, server: EdgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[Callable[[], None]] = []
    async with connected(api) as (reader, writer), connected(api) as (other_reader, _):
        while len(server.by_latest_request) < 2:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
        monkeypatch.setattr(server, "_most", 2)
        monkeypatch.setattr(Shared, "add", lambda _, work: held.append(work))
        writer.write(LAST)
        while not held:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
        monkeypatch.undo()
        monkeypatch.setattr(server, "_most", 2)
        async with connected(api):
            assert await other_reader.read() == b""
            held[0]()
            assert statuses_of(await reader.read()) == [200]


HEAD = b"POST /login HTTP/1.1\r\nHost: example.com:80\r\nX-Real-IP: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"


def test_each_beginning_of_a_head_is_one() -> None:
    assert [length for length in range(1, len(HEAD)) if not is_beginning(HEAD[:length])] == []
    assert not is_beginning(HEAD)
    assert not is_beginning(HEAD + HEAD[:5])


@pytest.mark.parametrize(
    "data",
    [
        b"get /",
        b"GETT",
        b"\x16\x03\x01",
        b"PRI * HTTP/2.0\r\n",
        b"GET  /",
        b"GET http://x/",
        b"\r\nGET /",
        b"GET / HTTP/1.0\r\nHost: x",
        b"GET / HTTP/1.1\nHost: x",
        b"GET / HTTP/1.1\r\n Host: x",
        b"GET / HTTP/1.1\r\nHost : x",
        b"GET / HTTP/1.1\r\nHost x\r\n",
        b"GET / HTTP/1.1\r\nHost: \x00",
        b"GET / HTTP/1.1\r\nHost: x\r\n y",
        b"GET / HTTP/1.1\r\nHost: x\rA",
        b"GET /" + b"x" * KEPT_BYTES,
    ],
)
def test_what_a_parser_could_refuse_is_no_beginning(data: bytes) -> None:
    assert not is_beginning(data)


async def crowd(api: Api, size: int) -> list[socket.socket]:
    loop = asyncio.get_running_loop()
    clients = [socket.socket() for _ in range(size)]
    for client in clients:
        client.setblocking(False)
        await loop.sock_connect(client, (api.client.host, api.client.port))
    return clients


@on_sqlite
@pytest.mark.parametrize("said", [b"", LIVE], ids=["nothing", "a request"])
@pytest.mark.parametrize("with_reset", [False, True], ids=["closed", "reset"])
async def test_a_crowd_that_leaves_is_noticed_in_steps(
    api: Api, server: EdgeServer, monkeypatch: pytest.MonkeyPatch, said: bytes, with_reset: bool
) -> None:
    size = 30
    monkeypatch.setattr(resting, "MANY", 5)
    monkeypatch.setattr(silent, "MANY", 5)
    monkeypatch.setattr(watch, "WOKEN_IN_A_TURN", 3)
    woken: list[int] = []
    poll = watch.Watch.woken

    def counted(self: watch.Watch) -> list[int]:
        found = poll(self)
        woken.append(len(found))
        return found

    monkeypatch.setattr(watch.Watch, "woken", counted)
    clients = await crowd(api, size)
    loop = asyncio.get_running_loop()
    for client in clients:
        await loop.sock_sendall(client, said)
        if said:
            await loop.sock_recv(client, 1)
    async with asyncio.timeout(DEADLINE_SECONDS):
        while len(server.by_latest_request) < size:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
        if said:
            await until(0, server)
        del woken[:]
        for client in clients:
            if with_reset:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        while server.by_latest_request:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
    assert sum(woken) >= size - 5
    assert max(woken) == 3


@on_sqlite
async def test_who_says_something_after_a_crowd_has_come_is_answered(
    api: Api, server: EdgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silent, "MANY", 5)
    clients = await crowd(api, 30)
    while len(server.by_latest_request) < len(clients):  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    # All at once, and in two pieces: more than get a protocol in a turn.
    for part in (LAST[:30], LAST[30:]):
        for client in clients:
            await loop.sock_sendall(client, part)
    async with asyncio.timeout(DEADLINE_SECONDS):
        for client in clients:
            received = b""
            while data := await loop.sock_recv(client, 65_536):
                received += data
            assert statuses_of(received) == [200]
            client.close()
