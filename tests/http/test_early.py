"""What arrives between two turns of the event loop: a request has left the queue, and its task has not begun."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from server.http.connection import EdgeProtocol
from tests.http.test_connections import HEADERS, LIVE, connected, statuses_of
from tests.http.test_end import runner_of
from tests.running import Api

on_sqlite = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
CHUNK = b"2\r\n{}\r\n"


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
