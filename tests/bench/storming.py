"""The clients of a storm, and the checked requests beside it.

A storm's client sends a request, waits for the answer, and sends the next one at once, without regard to Retry-After.
The checked requests are sent on a schedule, whether the one before was answered or not, and their latency counts from
the scheduled moment. So a server that holds everybody up for a moment is seen by all whom it has held up.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

# The statuses that refuse for now, and say when to come again.
LATER = frozenset({429, 503})
# A client that got no answer for so long has been forgotten.
PATIENCE_SECONDS = 30.0
# Of the checked requests: so many a second, over so many connections.
RATE = 200
CONNECTIONS = 64


@dataclass(frozen=True)
class Answer:
    """What a server has said to one request."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        wanted = name.lower().encode() + b":"
        for line in self.head.split(b"\r\n")[1:]:
            if line.lower().startswith(wanted):
                return line[len(wanted) :].strip().decode("latin-1")
        return None


# Makes the next request of a client from the answer before; None at first.
Source = Callable[[Answer | None], bytes]


@dataclass
class Told:
    """What the clients of a storm have seen. Times are in seconds."""

    statuses: Counter[int] = field(default_factory=Counter)
    # How long refusals took, and when the others came.
    refused: list[float] = field(default_factory=list)
    done_at: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    # Answers that are not as documented, and connections that ended without one.
    wrong: list[str] = field(default_factory=list)
    cut_off: int = 0

    def per_second(self) -> float:
        """Of those that were not refused, from the first of them to the last."""
        if len(self.done_at) < 2:
            return 0.0
        return (len(self.done_at) - 1) / (self.done_at[-1] - self.done_at[0])


@dataclass(frozen=True)
class Storm:
    """`sources` has one for each client. `statuses` are the answers that are right, beside the refusals."""

    name: str
    sources: Sequence[Source]
    statuses: frozenset[int]
    # Each request has a connection of its own.
    fresh: bool = False


class _Client(asyncio.Protocol):
    """One client, over as many connections as it needs."""

    def __init__(self, storm: Storm, source: Source, told: Told) -> None:
        self._storm = storm
        self._source = source
        self._told = told
        self._received = b""
        self._answer: Answer | None = None
        self._sent_at: float | None = None
        self._over = False
        self._transport: asyncio.Transport | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        self._received = b""
        self._sent_at = time.perf_counter()
        self._transport.write(self._source(self._answer))

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or len(body) < _length(head):
            return
        self._answer = Answer(int(head[9:12]), head, body)
        self._note(self._answer)
        self._sent_at = None
        if self._over or self._storm.fresh or self._answer.header("Connection") == "close":
            assert self._transport is not None
            self._transport.close()
        else:
            self._send()

    def _note(self, answer: Answer) -> None:
        now, told = time.perf_counter(), self._told
        assert self._sent_at is not None
        told.statuses[answer.status] += 1
        if answer.status in LATER:
            told.refused.append(now - self._sent_at)
        else:
            told.done_at.append(now)
            told.took.append(now - self._sent_at)
        wrong = _what_is_wrong(answer, self._storm.statuses)
        if wrong is not None:
            told.wrong.append(wrong)

    def connection_lost(self, error: Exception | None) -> None:
        if self._sent_at is not None:
            self._told.cut_off += 1
            self._sent_at = None
        if not self.ended.done():
            self.ended.set_result(None)

    def stop(self) -> None:
        """Send nothing more; the connection closes after the answer."""
        self._over = True
        if self._sent_at is None and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def run(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        while not self._over:
            self.ended = loop.create_future()
            try:
                await loop.create_connection(lambda: self, host, port)
            except OSError:
                self._told.cut_off += 1
                await asyncio.sleep(0.05)
                continue
            await self.ended


def _length(head: bytes) -> int:
    place = head.lower().find(b"content-length:")
    return 0 if place < 0 else int(head[place + 15 :].partition(b"\r\n")[0])


def _what_is_wrong(answer: Answer, statuses: frozenset[int]) -> str | None:
    if answer.status in LATER:
        after = answer.header("Retry-After")
        if after is None or not after.isdecimal() or int(after) < 1:
            return f"{answer.status} with Retry-After {after}"
        if answer.header("Content-Type") != "application/problem+json":
            return f"{answer.status} as {answer.header('Content-Type')}"
        code = json.loads(answer.body)["code"]
        return None if code in {"overloaded", "too_many_attempts", "store_unavailable"} else f"{answer.status} {code}"
    return None if answer.status in statuses else f"{answer.status} {answer.body[:200]!r}"


async def storm_for(address: str, storm: Storm, seconds: float, told: Told) -> None:
    """Storm for so long. What is under way then is waited for, as long as somebody would."""
    host, port = host_and_port(address)
    clients = [_Client(storm, source, told) for source in storm.sources]
    running = [asyncio.create_task(client.run(host, port)) for client in clients]
    await asyncio.sleep(seconds)
    for client in clients:
        client.stop()
    _, late = await asyncio.wait(running, timeout=PATIENCE_SECONDS)
    for client in clients:
        client.abort()
    if late:
        told.wrong.append(f"{len(late)} clients were not answered within {PATIENCE_SECONDS:g} s")
        await asyncio.wait(late)


@dataclass
class Checked:
    """Checked requests on a schedule: how long each took from its moment, in seconds, and what was wrong."""

    latencies: list[float] = field(default_factory=list)
    # What the server's event loop has worked meanwhile, which other processes of the machine do not change.
    works: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def p99(self) -> float:
        """In milliseconds."""
        return _p99(self.latencies)

    def p99_of_work(self) -> float:
        """In milliseconds."""
        return _p99(self.works)


def _p99(times: Sequence[float]) -> float:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1000


def loop_seconds(pid: int) -> float:
    """Time on a processor of the first thread of a process, which runs the event loop (proc(5), schedstat)."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


class _Asker(asyncio.Protocol):
    """A connection that waits for one answer at a time."""

    def __init__(self, asking: _Asking) -> None:
        self._asking = asking
        self._received = b""
        self._due: tuple[float, float] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, due: float, worked: float) -> None:
        assert self.transport is not None
        self._due = due, worked
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if separator and len(body) >= _length(head):
            self._received = b""
            due, self._due = self._due, None
            assert due is not None
            # It may send the next one.
            self._asking.answered(self, Answer(int(head[9:12]), head, body), *due)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._asking.over:
            self._asking.checked.wrong.append("a connection of checked requests was cut off")


class _Asking:
    """Gives each moment of the schedule a connection; if none is free, the request waits for one."""

    def __init__(self, status: int, pid: int) -> None:
        self.checked = Checked()
        self.over = False
        self.free: deque[_Asker] = deque()
        self._late: deque[tuple[bytes, float, float]] = deque()
        self._status = status
        self._pid = pid
        self.to_come = 0
        self.some_answered = asyncio.Event()

    def send(self, request: bytes, due: float) -> None:
        self.to_come += 1
        worked = loop_seconds(self._pid)
        if self.free:
            self.free.popleft().send(request, due, worked)
        else:
            self._late.append((request, due, worked))

    def answered(self, asker: _Asker, answer: Answer, due: float, worked: float) -> None:
        self.to_come -= 1
        self.some_answered.set()
        self.checked.latencies.append(time.perf_counter() - due)
        self.checked.works.append(loop_seconds(self._pid) - worked)
        if answer.status != self._status:
            self.checked.wrong.append(f"{answer.status} {answer.body[:200]!r}")
        if self._late:
            asker.send(*self._late.popleft())
        else:
            self.free.append(asker)


async def check_for(address: str, pid: int, requests: Sequence[bytes], seconds: float) -> Checked:
    """Send these requests in turn, 200 a second, each at a moment of its own within its interval. All get 204."""
    asking, moments = _Asking(204, pid), random.Random(16)
    loop = asyncio.get_running_loop()
    host, port = host_and_port(address)
    opened = [await loop.create_connection(lambda: _Asker(asking), host, port) for _ in range(CONNECTIONS)]
    asking.free.extend(asker for _, asker in opened)
    begun = time.perf_counter() + 0.01
    for number in range(int(seconds * RATE)):
        due = begun + (number + moments.random()) / RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        asking.send(requests[number % len(requests)], due)
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while asking.to_come:
                asking.some_answered.clear()
                await asking.some_answered.wait()
    if asking.to_come:
        asking.checked.wrong.append(f"{asking.to_come} checked requests were not answered")
    asking.over = True
    for transport, _ in opened:
        transport.close()
    return asking.checked


def host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.removeprefix("http://").partition(":")
    return host, int(port)
