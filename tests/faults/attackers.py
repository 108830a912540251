"""What misbehaving clients do. Each function is one attack; it returns when it is over, with what was answered."""

from __future__ import annotations

import contextlib
import gzip
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.environment import ROOT

DEADLINE_SECONDS = 30
HEADERS = b"Host: x\r\nContent-Type: application/json\r\n"
LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
PIECE = b"x" * 65_536
AT_ONCE = 50
Statuses = tuple[int, ...]


def connect(port: int, number: int = 0) -> socket.socket:
    """From one of 50 addresses."""
    client = socket.socket()
    try:
        if number % 50:
            client.bind((f"127.0.0.{1 + number % 50}", 0))
        client.settimeout(DEADLINE_SECONDS)
        client.connect(("127.0.0.1", port))
    except BaseException:
        client.close()
        raise
    return client


def reset(client: socket.socket) -> None:
    """Leave without a farewell."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def answers(client: socket.socket) -> Statuses:
    """The statuses of all answers until the server closes."""
    received = bytearray()
    with contextlib.suppress(ConnectionError):
        while data := client.recv(65_536):
            received += data
    return tuple(int(part[2:5]) for part in bytes(received).split(b"HTTP/1.")[1:])


@contextlib.contextmanager
def crowd(port: int, size: int, said: bytes = b"") -> Iterator[Callable[[], None]]:
    """So many connections of another process, which have said this and wait. The function kills that process."""
    command = [sys.executable, "-m", "tests.faults.attackers", str(port), str(size), said.hex()]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "there\n"
            yield process.kill
        finally:
            process.kill()


def allow_many() -> None:
    """Let this process have as many connections as the system grants."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _be_a_crowd(port: int, size: int, said: bytes) -> None:
    allow_many()
    clients = []
    for number in range(size):
        clients.append(connect(port, number))
        clients[-1].sendall(said)
    print("there", flush=True)
    # Until the parent is gone, if it does not kill this process.
    sys.stdin.read()


def come_and_go(port: int, size: int, said: bytes, leave: Callable[[socket.socket], None]) -> None:
    """One connection after the other, which says this and is left at once."""
    for number in range(size):
        client = connect(port, number)
        client.sendall(said)
        leave(client)


def _many(one: Callable[[int], Statuses], size: int) -> Counter[Statuses]:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return Counter(threads.map(one, range(size)))


def send_for_ever(port: int, size: int, head: bytes, piece: bytes, total: int) -> Counter[Statuses]:
    """So many clients, some at once, that send a head and then a piece again and again, up to `total` bytes each."""

    def one(number: int) -> Statuses:
        with connect(port, number) as client:
            # The server ends it when it likes.
            with contextlib.suppress(ConnectionError):
                client.sendall(head)
                for _ in range(max(1, total // len(piece))):
                    client.sendall(piece)
            return answers(client)

    return _many(one, size)


def pipeline(port: int, size: int, requests: list[bytes], *, late: float = 0.0) -> Counter[Statuses]:
    """All requests at once, on each of so many connections. The answers are read after `late` seconds."""

    def one(number: int) -> Statuses:
        with connect(port, number) as client:
            sending = threading.Thread(target=_send_all, args=(client, b"".join(requests)))
            sending.start()
            time.sleep(late)
            found = answers(client)
            sending.join()
            return found

    return _many(one, size)


def _send_all(client: socket.socket, data: bytes) -> None:
    # The server has answered the last request, and closed.
    with contextlib.suppress(OSError):
        client.sendall(data)


@contextlib.contextmanager
def unread(port: int, size: int, request: bytes) -> Iterator[None]:
    """Clients that ask for a long answer, 20 times each, and read nothing of it."""
    with contextlib.ExitStack() as stack:
        for number in range(size):
            client = stack.enter_context(connect(port, number))
            client.sendall(request * 20)
        yield


def last(request: bytes) -> bytes:
    return request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)


def bomb() -> bytes:
    """100 MB of spaces, in 100 KB."""
    return gzip.compress(b" " * 100_000_000, 9)


if __name__ == "__main__":
    _be_a_crowd(int(sys.argv[1]), int(sys.argv[2]), bytes.fromhex(sys.argv[3]))
