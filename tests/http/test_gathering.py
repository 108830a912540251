"""Small writes of one turn are sent together, in their order, and none is lost at the close."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from server.http.gathering import SMALL_BYTES, Gatherer, GatheringTransport

DEADLINE_SECONDS = 20


@asynccontextmanager
async def transports(gatherer: Gatherer) -> AsyncIterator[tuple[GatheringTransport, asyncio.StreamReader]]:
    """One end of a connection, and the other."""
    loop = asyncio.get_running_loop()
    here, there = socket.socketpair()
    inner, _ = await loop.create_connection(asyncio.Protocol, sock=here)
    reader, writer = await asyncio.open_connection(sock=there)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield GatheringTransport(inner, gatherer), reader
    finally:
        inner.close()
        writer.close()


async def test_small_pieces_wait_for_each_other() -> None:
    gatherer = Gatherer(asyncio.get_running_loop())
    async with transports(gatherer) as (one, to_one), transports(gatherer) as (other, to_other):
        one.write(b"a")
        other.write(b"x")
        one.writelines([b"b", b"c"])
        assert one.get_write_buffer_size() == 3
        assert await to_one.readexactly(3) == b"abc"
        assert await to_other.readexactly(1) == b"x"
        assert one.get_write_buffer_size() == 0


async def test_what_is_large_waits_for_nothing_but_what_came_before() -> None:
    large = b"y" * (SMALL_BYTES + 1)
    async with transports(Gatherer(asyncio.get_running_loop())) as (transport, reader):
        transport.write(large)
        assert transport.get_write_buffer_size() == 0
        transport.write(b"a")
        transport.write(large)
        assert transport.get_write_buffer_size() == 0
        transport.write(b"b")
        assert await reader.readexactly(2 * len(large) + 2) == large + b"a" + large + b"b"


@pytest.mark.parametrize("end", ["close", "write_eof"])
async def test_what_waits_is_sent_before_the_end(end: str) -> None:
    async with transports(Gatherer(asyncio.get_running_loop())) as (transport, reader):
        transport.write(b"a")
        getattr(transport, end)()
        assert await reader.read() == b"a"


async def test_after_an_abort_nothing_is_sent() -> None:
    async with transports(Gatherer(asyncio.get_running_loop())) as (transport, reader):
        transport.write(b"a")
        transport.abort()
        assert await reader.read() == b""
        assert transport.is_closing()
