"""Checked requests at a steady rate, from a process of its own: what others notice while a server is troubled.

The requests are sent by the clock, whether or not those before were answered (open-loop). So a server that stands still
for a second has 200 late answers at a rate of 200, and not one.
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
CONNECTIONS = 100
# A connection with an answer that is this late counts as lost. The next request opens another one.
LOST_SECONDS = 10.0


@dataclass(frozen=True)
class Answered:
    """One request: when it was sent (time.monotonic), and what the answer took and was; 0 if the connection was lost.

    `work` is the time on a processor that the server used meanwhile, for this request and whatever else. Other programs
    that keep the machine busy don't change it.
    """

    sent: float
    seconds: float
    work: float
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
        return _percentile([answer.seconds for answer in self.answers], percent)

    def work_milliseconds(self, percent: float) -> float:
        """The same of what the server did on a processor between a request and its answer."""
        return _percentile([answer.work for answer in self.answers], percent)


def _percentile(seconds: list[float], percent: float) -> float:
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * percent / 100))] * 1000


class SteadyLoad:
    """What was answered so far, when `seen` is called after the end."""

    def __init__(self) -> None:
        self._answers: list[Answered] = []

    def read(self, lines: Iterator[str]) -> None:
        for line in lines:
            sent, seconds, work, status = line.split()
            self._answers.append(Answered(float(sent), float(seconds), float(work), int(status)))

    def seen(self, begin: float, end: float) -> Seen:
        """Of the requests that were sent between these two moments."""
        found = [answer for answer in self._answers if begin <= answer.sent < end]
        assert found, "no request was sent in this time"
        return Seen(found)


@contextlib.contextmanager
def steady_load(
    address: str, token: str, *, pid: int = 0, path: str = "/verify", rate: int = RATE
) -> Iterator[SteadyLoad]:
    """Requests as long as the block runs. Afterwards the load tells what was seen.

    `pid` is the process whose work is looked at; 0 if none is.
    """
    load = SteadyLoad()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.steady_load", address, path, str(rate), str(pid)],
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


class _Connection:
    """One connection and the requests on it that were not answered yet."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.socket = socket.create_connection(target, timeout=LOST_SECONDS)
        self.received = b""
        # Of each request when it was sent, and what the clock of the server said then.
        self.sent: deque[tuple[float, float]] = deque()


class _Sender:
    def __init__(self, address: str, path: str, token: str, pid: int) -> None:
        # The clock of another process, as clock_getcpuclockid(3) makes it.
        self._clock = (~pid << 3) | 2 if pid else time.CLOCK_PROCESS_CPUTIME_ID
        url = urlsplit(address)
        self._target = (str(url.hostname), int(url.port or 80))
        self._request = f"GET {path} HTTP/1.1\r\nHost: steady\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        # Open from the beginning: what is measured is not how long a new one waits behind others.
        self._connections = [_Connection(self._target) for _ in range(CONNECTIONS)]
        self.answers: list[Answered] = []

    def send(self) -> None:
        """On a connection that waits for nothing, as clients do. If all wait, on the one with the fewest requests."""
        now = time.monotonic(), self._worked()
        connection = min(self._connections, key=lambda one: len(one.sent), default=None)
        try:
            if connection is None:
                connection = _Connection(self._target)
                self._connections.append(connection)
            connection.sent.append(now)
            connection.socket.sendall(self._request)
        except OSError:
            if connection is None:
                self._note(now, 0)
            else:
                self._lose(connection)

    def _worked(self) -> float:
        return time.clock_gettime(self._clock)

    def _lose(self, connection: _Connection) -> None:
        """The connection is gone, with all answers that were to come."""
        for begun in connection.sent:
            self._note(begun, 0)
        self._connections.remove(connection)
        connection.socket.close()

    def _note(self, begun: tuple[float, float], status: int) -> None:
        sent, worked = begun
        self.answers.append(Answered(sent, time.monotonic() - sent, self._worked() - worked, status))

    def receive_until(self, moment: float) -> bool:
        """Take answers until then. False if the parent has closed our input."""
        while True:
            left = max(0.0, moment - time.monotonic())
            waited: list[Any] = [sys.stdin, *(one.socket for one in self._connections)]
            ready, _, _ = select.select(waited, [], [], left)
            for connection in list(self._connections):
                if connection.socket in ready:
                    self._take(connection)
                elif connection.sent and time.monotonic() - connection.sent[0][0] > LOST_SECONDS:
                    self._lose(connection)
            if sys.stdin in ready:
                return False
            if not ready:
                return True

    def _take(self, connection: _Connection) -> None:
        try:
            data = connection.socket.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._lose(connection)
            return
        connection.received += data
        # The answers that are counted here have no body, or a length.
        while (end := connection.received.find(b"\r\n\r\n")) >= 0:
            head = connection.received[:end].lower()
            _, _, length = head.partition(b"content-length:")
            size = end + 4 + int(length.split(b"\r\n")[0] or 0)
            if len(connection.received) < size:
                return
            connection.received = connection.received[size:]
            self._note(connection.sent.popleft(), int(head.split()[1]))

    def finish(self) -> None:
        """Wait for what is still to come."""
        for connection in list(self._connections):
            while connection.sent and connection in self._connections:
                ready, _, _ = select.select([connection.socket], [], [], LOST_SECONDS)
                if not ready:
                    self._lose(connection)
                else:
                    self._take(connection)
            if connection in self._connections:
                self._lose(connection)


def main(address: str, path: str, rate: str, pid: str) -> None:
    sender = _Sender(address, path, sys.stdin.readline().strip(), int(pid))
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
        print(answer.sent, answer.seconds, answer.work, answer.status)


if __name__ == "__main__":
    main(*sys.argv[1:])
