"""What arrives at a bad moment: before a request is handled, or has begun to be."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp.web_protocol import MAX_MSG_QUEUE_SIZE, RequestHandler

from server.http.connection import EdgeProtocol
from tests.http.test_connections import HEADERS, LIVE, connected, connections_of, login_of, statuses_of
from tests.http.test_end import runner_of
from tests.running import Api

on_sqlite = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
CHUNK = b"2\r\n{}\r\n"
UPGRADE = b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
WEBSOCKET = UPGRADE.replace(b"h2c", b"websocket")


async def spoken(api: Api) -> list[EdgeProtocol]:
    """The connections that have a request which is being handled."""
    while not (found := [one for one in connections_of(api) if one.request is not None]):  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0)
    return found


@on_sqlite
@pytest.mark.parametrize("rest", [b"0\r\nno colon\r\n\r\n", b"zz\r\n", CHUNK[:-1] + b"0"])
async def test_what_breaks_a_body_before_its_request_is_handled_is_noticed(
    api: Api, monkeypatch: pytest.MonkeyPatch, rest: bytes
) -> None:
    """aiohttp's parser in C tells of it once, and the body would be waited for in vain."""
    server = runner_of(api).edge_server
    make, loop = server.request_factory, asyncio.get_running_loop()
    made: list[Any] = []

    def make_and_receive(message: Any, body: Any, protocol: EdgeProtocol, *others: Any) -> Any:
        request = make(message, body, protocol, *others)
        if not made:
            # It is called in the next turn before the task of the request is.
            loop.call_soon(protocol.data_received, rest + LIVE)
        made.append(request)
        return request

    monkeypatch.setattr(server, "request_factory", make_and_receive)
    async with connected(api) as (reader, writer):
        writer.write(f"POST /login HTTP/1.1\r\n{HEADERS}Transfer-Encoding: chunked\r\n\r\n".encode() + CHUNK)
        assert statuses_of(await reader.read()) == [400]
    assert made[0].path == "/login"


@on_sqlite
@pytest.mark.parametrize(
    "more", [LIVE, LIVE + LIVE, UPGRADE, UPGRADE.replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n")]
)
@pytest.mark.parametrize("before", [1, 2 * MAX_MSG_QUEUE_SIZE])
async def test_what_was_lost_behind_an_upgrade_is_not_forgotten_while_it_waits(
    api: Api, monkeypatch: pytest.MonkeyPatch, more: bytes, before: int
) -> None:
    """aiohttp drops the beginning of the third request. What follows is its body, and not a request (CWE-444)."""
    go_on = asyncio.Event()

    async def wait(*_: object) -> bool:
        await go_on.wait()
        return False

    monkeypatch.setattr(type(api.services.hashes), "verify", wait)
    async with connected(api) as (reader, writer):
        writer.write(login_of())
        (protocol,) = await spoken(api)
        head = f"POST /logout HTTP/1.1\r\n{HEADERS}Content-Length: {len(more)}\r\n\r\n".encode()
        for count, piece in ((before + 1, LIVE * before + UPGRADE + head), (before + 2, more)):
            writer.write(piece)
            while len(protocol._messages) < min(count, MAX_MSG_QUEUE_SIZE):  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0)
        go_on.set()
        assert statuses_of(await reader.read()) == [400, *[200] * before, 404]


@on_sqlite
@pytest.mark.parametrize(
    ("behind", "statuses"),
    [
        (UPGRADE + b"POST /logout HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", [404, 404]),
        (LIVE.replace(b"HTTP/1.1", b"HTTP/1.7"), [404, 400]),
        (WEBSOCKET + LIVE + LIVE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), [404, 404, 200, 200]),
    ],
)
async def test_what_is_behind_an_upgrade_that_is_declined_is_looked_at(
    api: Api, behind: bytes, statuses: list[int]
) -> None:
    async with connected(api) as (reader, writer):
        writer.write(WEBSOCKET + behind)
        assert statuses_of(await reader.read()) == statuses


@on_sqlite
async def test_much_behind_an_upgrade_that_is_declined_is_answered(api: Api) -> None:
    """More than is kept for another protocol: reading is paused then."""
    async with connected(api) as (reader, writer):
        writer.write(WEBSOCKET + LIVE * 2_000 + LIVE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert statuses_of(await reader.read()) == [404] + [200] * 2_001


@on_sqlite
async def test_a_request_whose_task_has_not_begun_goes_with_its_connection(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when its client leaves in that moment. They refer to each other, and garbage is collected seldom."""
    begun: list[EdgeProtocol] = []
    handle = RequestHandler._handle_request

    def leave_at_once(protocol: EdgeProtocol, *arguments: Any) -> Any:
        begun.append(protocol)
        assert protocol._task_handler is not None
        asyncio.get_running_loop().call_soon(protocol._task_handler.cancel)
        return handle(protocol, *arguments)

    monkeypatch.setattr(RequestHandler, "_handle_request", leave_at_once)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await api.request("POST", "/login", json={})
    (protocol,) = begun
    assert protocol.request is None
