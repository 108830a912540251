"""A TCP proxy before PostgreSQL, for faults of a network: it holds bytes back, cuts connections, leads elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.listening import free_port
from tests.postgres import PostgresServer


class PostgresProxy:
    """Forwards to a Unix socket, `target`; new connections to what it is then."""

    def __init__(self, target: Path) -> None:
        self.target = target
        # What the server says, and what arrives in its place. Its TLS, which the one of the tests has not.
        self.tls: ssl.SSLContext | None = None
        self.replaced: tuple[bytes, bytes] | None = None
        # Before each answer of the server.
        self.delay_seconds = 0.0
        self._held: set[asyncio.StreamReader] = set()
        self._halved: set[asyncio.StreamReader] = set()
        self._holds_new = False
        # Streams from the server.
        self._answering: set[asyncio.StreamReader] = set()
        self._server: asyncio.Server | None = None
        # The system gives it to nobody while the proxy refuses connections.
        self._port = free_port()
        self._readers: set[asyncio.StreamReader] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        """Take connections, at the same port as before."""
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", self._port)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self._port}/{database}"

    def hold(self, *, new_too: bool = False) -> None:
        """Of the connections that there are, pass no byte on any more; neither of later ones, which are taken."""
        self._held |= self._readers
        self._holds_new = new_too

    def halve(self) -> None:
        """Of the connections that there are, pass on half of the next answer, and then no byte any more."""
        self._halved |= self._answering

    def release(self) -> None:
        """Pass on again. What was held back is lost."""
        self._held.clear()
        self._halved.clear()
        self._holds_new = False

    def deafen(self) -> None:
        """Pass on what clients say to the connections that there are, and cut them instead of an answer."""
        self._answering.clear()

    def cut(self) -> None:
        """Reset all connections."""
        for writer in self._writers:
            writer.transport.abort()

    def refuse_new(self) -> None:
        """Take no connections any more. Those that there are go on."""
        assert self._server is not None
        self._server.close()

    async def refuse(self) -> None:
        """Take no connections, and reset those that there are."""
        self.refuse_new()
        self.cut()

    async def close(self) -> None:
        await self.refuse()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            # A task that asyncio made, and that it complains of if it ends otherwise.
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._connect(reader, writer)
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.tls is not None:
            # SSLRequest, the first that a client sends: its length and a number.
            assert await reader.readexactly(8) == struct.pack("!ii", 8, 80877103)
            writer.write(b"S")
            await writer.start_tls(self.tls)
        from_server, to_server = await asyncio.open_unix_connection(self.target)
        self._writers |= {writer, to_server}
        self._readers |= {reader, from_server}
        self._answering.add(from_server)
        if self._holds_new:
            self._held |= {reader, from_server}
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, to_server, {reader}))
                both.create_task(self._pump(from_server, writer, self._answering))
        finally:
            self._writers -= {writer, to_server}
            self._readers -= {reader, from_server}
            to_server.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: set[asyncio.StreamReader]
    ) -> None:
        with contextlib.suppress(OSError):
            while (data := await reader.read(65536)) and reader in heard:
                if self.delay_seconds and heard is self._answering:
                    await asyncio.sleep(self.delay_seconds)
                if reader in self._halved:
                    data = data[: len(data) // 2]
                    self._held.add(reader)
                    self._halved.discard(reader)
                    writer.write(data)
                if reader not in self._held:
                    writer.write(data if self.replaced is None else data.replace(*self.replaced))
                    await writer.drain()
        writer.transport.abort()


@pytest.fixture
async def postgres_proxy(postgres_server: PostgresServer) -> AsyncIterator[PostgresProxy]:
    """Before the server that all tests share."""
    proxy = PostgresProxy(postgres_server.socket)
    await proxy.listen()
    yield proxy
    await proxy.close()
