"""How long the server waits for clients that trickle or do nothing, and what they are told then (docs/security.md)."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from pathlib import Path

import pytest

from server.http.connection import WRITE_SECONDS
from server.http.runner import KEEPALIVE_SECONDS
from tests.faults.attacked import MEMORY_MB, PARSERS, Attacked, attacked, in_full
from tests.faults.attackers import HEADERS, LIVE, Statuses, allow_many, connect
from tests.faults.watching import Watching
from tests.figures import Figures
from tests.steady_load import steady_load
from tests.volume import volume

BODY_SECONDS = 2.0
# Of a machine that is busy with other things.
LATE_SECONDS = 15.0
LENGTH = b"Content-Length: 1000\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
LOGIN = b"POST /login HTTP/1.1\r\n"

# What each says first, what it sends then, a byte a second, when the connection ends, and what was answered.
TRICKLES: dict[str, tuple[bytes, bytes, float, Statuses]] = {
    "a body": (LOGIN + HEADERS + LENGTH, b" ", BODY_SECONDS, (408,)),
    "chunks": (LOGIN + HEADERS + CHUNKED, b"1\r\n \r\n", BODY_SECONDS, (408,)),
    "the length of a chunk": (LOGIN + HEADERS + CHUNKED, b"0", BODY_SECONDS, (408,)),
    "nothing of a body": (LOGIN + HEADERS + LENGTH, b"", BODY_SECONDS, (408,)),
    "a body that nobody reads": (b"POST /users HTTP/1.1\r\n" + HEADERS + LENGTH, b" ", BODY_SECONDS, (401,)),
}
LONG_TRICKLES: dict[str, tuple[bytes, bytes, float, Statuses]] = {
    "nothing": (b"", b"", KEEPALIVE_SECONDS, ()),
    "a byte": (b"G", b"", KEEPALIVE_SECONDS, ()),
    "headers": (b"GET / HTTP/1.1\r\n", b"A: b\r\n", KEEPALIVE_SECONDS, ()),
    "a request line": (b"GET /", b"a", KEEPALIVE_SECONDS, ()),
    "nothing behind a request": (LIVE, b"", KEEPALIVE_SECONDS, (200,)),
    "headers of a second request": (LIVE + b"GET / HTTP/1.1\r\n", b"A: b\r\n", KEEPALIVE_SECONDS, (200,)),
}


class Tricklers:
    """Connections of each kind. They read what they get, and note when they are closed."""

    def __init__(self, port: int, kinds: dict[str, tuple[bytes, bytes, float, Statuses]], size: int) -> None:
        self._kinds = kinds
        self._selector = selectors.DefaultSelector()
        self._begun = time.monotonic()
        self.ends: dict[str, list[tuple[float, Statuses]]] = {kind: [] for kind in kinds}
        for number in range(size):
            for kind, (said, _, _, _) in kinds.items():
                client = connect(port, number)
                client.sendall(said)
                client.setblocking(False)
                self._selector.register(client, selectors.EVENT_READ, (kind, bytearray()))

    def go_on(self) -> None:
        """Until all are closed, or should have been."""
        latest = max(seconds for _, _, seconds, _ in self._kinds.values()) + LATE_SECONDS
        sent = 0
        while self._selector.get_map() and time.monotonic() - self._begun < latest:
            for key, _ in self._selector.select(0.1):
                self._read(key)
            if time.monotonic() - self._begun > sent + 1:
                self._send(sent)
                sent += 1
        for key in list(self._selector.get_map().values()):
            self._close(key)

    def _read(self, key: selectors.SelectorKey) -> None:
        client = key.fileobj
        assert isinstance(client, socket.socket)
        data = b""
        with contextlib.suppress(ConnectionError):
            data = client.recv(65_536)
        key.data[1].extend(data)
        if not data:
            self._close(key)

    def _close(self, key: selectors.SelectorKey) -> None:
        kind, received = key.data
        statuses = tuple(int(part[2:5]) for part in bytes(received).split(b"HTTP/1.")[1:])
        self.ends[kind].append((time.monotonic() - self._begun, statuses))
        self._selector.unregister(key.fileobj)
        assert isinstance(key.fileobj, socket.socket)
        key.fileobj.close()

    def _send(self, place: int) -> None:
        for key in self._selector.get_map().values():
            said = self._kinds[key.data[0]][1]
            assert isinstance(key.fileobj, socket.socket)
            if said:
                with contextlib.suppress(OSError):
                    key.fileobj.send(said[place % len(said) :][:1])


def ask_for_ever(client: socket.socket) -> None:
    while True:
        client.sendall(b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n" * 100)


def unread_is_cut_off(server: Attacked) -> float:
    """Seconds until a client is disconnected that reads nothing of its answers."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(("127.0.0.1", server.port))
        client.settimeout(4 * WRITE_SECONDS)
        begun = time.monotonic()
        with pytest.raises(ConnectionError):
            ask_for_ever(client)
        return time.monotonic() - begun


@in_full
@pytest.mark.parametrize("parser", PARSERS)
def test_nobody_is_waited_for_longer_than_the_documents_say(tmp_path: Path, parser: str, figures: Figures) -> None:
    allow_many()
    size = volume(100)
    body_seconds = f"{BODY_SECONDS:.0f}"
    with attacked(tmp_path, parser=parser, WATCHWORD__SERVER__BODY_TIMEOUT_SECONDS=body_seconds) as server:
        before = server.warm()
        with steady_load(server.server.address, server.token, pid=server.pid) as load:
            watching = Watching(figures, load)
            # The long ones take over a minute.
            kinds = TRICKLES | (LONG_TRICKLES if parser == PARSERS[0] else {})
            tricklers = Tricklers(server.port, kinds, size)
            tricklers.go_on()
            watching.end("all kinds")
            cut_off = unread_is_cut_off(server) if parser == PARSERS[0] else WRITE_SECONDS
        for kind, (_, _, seconds, statuses) in kinds.items():
            ends = tricklers.ends[kind]
            assert {found for _, found in ends} == {statuses}, (kind, ends[:5])
            assert seconds - 0.5 <= min(end for end, _ in ends), (kind, min(ends))
            assert max(end for end, _ in ends) < seconds + LATE_SECONDS, (kind, max(ends))
        assert WRITE_SECONDS <= cut_off <= 2 * WRITE_SECONDS + LATE_SECONDS
        after = server.left_nothing(before)
        what = f"{size} of each kind trickle (parser {parser})"
        watching.note(what)
        figures.at_most(f"{what}: memory", after.memory_mb - before.memory_mb, MEMORY_MB, "MB")
