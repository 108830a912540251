"""The load: keep-alive connections that each send a request, wait for the answer, and send the next."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

CONNECTIONS = 64
TIMEOUT_SECONDS = 120

# Makes the next request of a connection from the body of the answer before; b"" at first.
Source = Callable[[bytes], bytes]


class _Connection(asyncio.Protocol):
    def __init__(self, source: Source) -> None:
        self.source = source
        self.load: Load | None = None
        self._answer = b""
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, load: Load) -> None:
        self.load = load
        assert self._transport is not None
        self._transport.write(self.source(self._answer))

    def data_received(self, data: bytes) -> None:
        assert self.load is not None
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or len(body) < _content_length(head):
            return
        self._received = b""
        self._answer = body
        if self.load.answered(head):
            self.send(self.load)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _content_length(head: bytes) -> int:
    place = head.lower().find(b"content-length:")
    return 0 if place < 0 else int(head[place + 15 :].partition(b"\r\n")[0])


class Load:
    """A number of requests to be answered with one status."""

    def __init__(self, total: int, status: bytes, connections: int) -> None:
        self._to_send = total - connections
        self._to_come = total
        self._status = status
        self.done = asyncio.Event()
        self.failed: bytes | None = None

    def answered(self, head: bytes) -> bool:
        """Note an answer; whether its connection is to send another request."""
        if head[9:12] != self._status:
            self.failed = head
            self.done.set()
            return False
        self._to_come -= 1
        if self._to_come == 0:
            self.done.set()
        self._to_send -= 1
        return self._to_send >= 0


@dataclass(frozen=True)
class Rate:
    """Requests a second: of the server's own CPU time, and of the clock on the wall."""

    per_core: float
    per_second: float


class Client:
    """64 connections to one server. They stay open between rounds, so a round costs no handshakes."""

    def __init__(
        self, address: str, pid: int, sources: list[Source], status: int, connections: int = CONNECTIONS
    ) -> None:
        self.address = address
        self._pid = pid
        self._sources = sources
        self._status = str(status).encode()
        self.connections = connections
        self._connections: list[_Connection] = []

    async def open(self) -> None:
        host, _, port = self.address.removeprefix("http://").partition(":")
        loop = asyncio.get_running_loop()
        for number in range(self.connections):
            connection = _Connection(self._sources[number % len(self._sources)])
            await loop.create_connection(lambda made=connection: made, host, int(port))  # type: ignore[misc]
            self._connections.append(connection)

    async def measure(self, total: int) -> Rate:
        """Send that many requests. Ends the run if one is answered otherwise than expected."""
        load = Load(total, self._status, self.connections)
        cpu, wall = cpu_seconds(self._pid), time.perf_counter()
        for connection in self._connections:
            connection.send(load)
        await asyncio.wait_for(load.done.wait(), TIMEOUT_SECONDS)
        if load.failed is not None:
            raise SystemExit(f"unexpected answer: {load.failed.decode('latin-1')}")
        wall, cpu = time.perf_counter() - wall, cpu_seconds(self._pid) - cpu
        return Rate(total / cpu, total / wall)

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


def cpu_seconds(pid: int) -> float:
    """Time on a processor of all threads, also of those that have ended, in nanoseconds: ticks are too coarse."""
    clock = ctypes.c_int()
    # Python has clock_getcpuclockid(3) only for threads.
    failure: int = ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock))
    if failure:
        raise ProcessLookupError(failure, os.strerror(failure))
    return time.clock_gettime(clock.value)


def get(path: str, token: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def post(path: str, body: object) -> bytes:
    return posted(path, json.dumps(body).encode(), "application/json")


def posted(path: str, content: bytes, kind: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}"
    return head.encode() + b"\r\n\r\n" + content


def in_turn(requests: list[bytes]) -> Source:
    """Ready requests, one after the other, shared by all connections."""

    def endless() -> Iterator[bytes]:
        while True:
            yield from requests

    iterator = endless()
    return lambda _: next(iterator)


def chain(refresh_token: str) -> Source:
    """A client that refreshes: each request has the token of the answer before."""
    first = post("/refresh", {"refresh_token": refresh_token})
    return lambda answer: post("/refresh", {"refresh_token": json.loads(answer)["refresh_token"]}) if answer else first
