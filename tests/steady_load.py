"""Checked requests at a steady rate, from a process of its own: what others notice while a server is troubled.

The requests are sent by the clock, whether or not those before were answered (open-loop), on one connection. So a
server that stands still for a second has 200 late answers at a rate of 200, and not one.
"""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.environment import ROOT

RATE = 200
# A connection with an answer that is this late counts as lost. The next request opens another one.
LOST_SECONDS = 10.0


@dataclass(frozen=True)
class Answered:
    """One request: when it was sent (time.monotonic), when it was answered, with what. 0 if the connection was lost."""

    sent: float
    seconds: float
    status: int


@dataclass(frozen=True)
class Seen:
    """The requests that were sent in a while."""

    answers: Sequence[Answered]

    @property
    def statuses(self) -> Counter[int]:
        return Counter(answer.status for answer in self.answers)

    def milliseconds(self, percent: float) -> float:
        """Of a hundred requests, so many took at most this."""
        times = sorted(answer.seconds for answer in self.answers)
        return times[min(len(times) - 1, int(len(times) * percent / 100))] * 1000


class SteadyLoad:
    """What was answered so far, when `seen` is called after the end."""

    def __init__(self) -> None:
        self._answers: list[Answered] = []

    def read(self, lines: Iterator[str]) -> None:
        for line in lines:
            sent, seconds, status = line.split()
            self._answers.append(Answered(float(sent), float(seconds), int(status)))

    def seen(self, begin: float, end: float) -> Seen:
        """Of the requests that were sent between these two moments."""
        found = [answer for answer in self._answers if begin <= answer.sent < end]
        assert found, "no request was sent in this time"
        return Seen(found)


@contextlib.contextmanager
def steady_load(address: str, token: str, *, path: str = "/verify", rate: int = RATE) -> Iterator[SteadyLoad]:
    """Requests as long as the block runs. Afterwards the load tells what was seen."""
    load = SteadyLoad()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.steady_load", address, path, str(rate)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        print(token, file=process.stdin, flush=True)
        assert process.stdout.readline() == "begun\n"
        yield load
        process.stdin.close()
        load.read(iter(process.stdout))
        assert process.wait() == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdin.close()
        process.stdout.close()


class _Sender:
    def __init__(self, address: str, path: str, token: str) -> None:
        url = urlsplit(address)
        self._target = (str(url.hostname), int(url.port or 80))
        self._request = f"GET {path} HTTP/1.1\r\nHost: steady\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        self._connection: socket.socket | None = None
        self._received = b""
        self._sent: deque[float] = deque()
        self.answers: list[Answered] = []

    def send(self) -> None:
        now = time.monotonic()
        try:
            if self._connection is None:
                self._connection = socket.create_connection(self._target, timeout=LOST_SECONDS)
            self._sent.append(now)
            self._connection.sendall(self._request)
        except OSError:
            if self._connection is None:
                self._sent.append(now)
            self.lose()

    def lose(self) -> None:
        """The connection is gone, with all answers that were to come."""
        now = time.monotonic()
        self.answers += [Answered(sent, now - sent, 0) for sent in self._sent]
        self._sent.clear()
        self._received = b""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def receive_until(self, moment: float) -> bool:
        """Take answers until then. False if the parent has closed our input."""
        while True:
            left = max(0.0, moment - time.monotonic())
            waited: list[Any] = [sys.stdin] if self._connection is None else [sys.stdin, self._connection]
            ready, _, _ = select.select(waited, [], [], left)
            if self._sent and time.monotonic() - self._sent[0] > LOST_SECONDS:
                self.lose()
            elif self._connection in ready:
                self._take()
            if sys.stdin in ready:
                return False
            if not ready:
                return True

    def _take(self) -> None:
        assert self._connection is not None
        try:
            data = self._connection.recv(65536)
        except OSError:
            data = b""
        now = time.monotonic()
        if not data:
            self.lose()
            return
        self._received += data
        # The answers that are counted here have no body, or a length.
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            _, _, length = head.partition(b"content-length:")
            size = end + 4 + int(length.split(b"\r\n")[0] or 0)
            if len(self._received) < size:
                return
            self._received = self._received[size:]
            sent = self._sent.popleft()
            self.answers.append(Answered(sent, now - sent, int(head.split()[1])))

    def finish(self) -> None:
        """Wait for what is still to come."""
        while self._sent and self._connection is not None:
            ready, _, _ = select.select([self._connection], [], [], LOST_SECONDS)
            if not ready:
                self.lose()
            else:
                self._take()
        self.lose()


def main(address: str, path: str, rate: str) -> None:
    sender = _Sender(address, path, sys.stdin.readline().strip())
    print("begun", flush=True)
    pause = 1 / int(rate)
    due = time.monotonic()
    going_on = True
    while going_on:
        sender.send()
        # What this process has slept through is sent at once, as by many clients.
        due += pause
        going_on = sender.receive_until(due)
    sender.finish()
    for answer in sender.answers:
        print(answer.sent, answer.seconds, answer.status)


if __name__ == "__main__":
    main(*sys.argv[1:])
