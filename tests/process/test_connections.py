"""What connections can do to the process: its memory, its descriptors, the time of others (CWE-400)."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.client import connected
from tests.process.few_descriptors import GRANTED
from tests.process.server_process import ServerProcess, serving

DEADLINE_SECONDS = 15
STORM = 3
PIECE = b"x" * 16_000
HEADERS = b"Host: x\r\nContent-Type: application/json\r\n"
CHUNKED = HEADERS + b"Transfer-Encoding: chunked\r\n\r\n"
ASKED = b"Expect: 100-continue\r\n" + CHUNKED
LARGE = HEADERS + b"".join(b"A%d: %b\r\n" % (number, b"x" * 8000) for number in range(7))
H2C = b"GET /me HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
ANSWERED = b""

# What is sent, piece by piece (at ANSWERED the client waits for an answer), and the statuses of all answers until the
# connection is closed.
STORMS: dict[str, tuple[list[bytes], list[int]]] = {
    "request line": ([b"GET /", *[PIECE] * 60], [400]),
    "request line, at once": ([b"GET /" + b"x" * 1_000_000], [400]),
    "header": ([b"GET / HTTP/1.1\r\nA: ", *[PIECE] * 60], [400]),
    "many headers": ([b"GET / HTTP/1.1\r\n", *[b"A: b\r\n" * 3000] * 20], [400]),
    "headers without end": ([b"GET / HTTP/1.1\r\n" + HEADERS, *[b"A: " + b"x" * 8000 + b"\r\n"] * 60], [400]),
    "TLS": ([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", *[PIECE] * 60], [400]),
    "HTTP/2": ([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", *[PIECE] * 60], [400]),
    "another version": ([b"GET /health/live HTTP/2.0\r\nHost: x\r\n\r\n", *[PIECE] * 60], [400]),
    "another version behind a request": (
        [b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\nGET /me HTTP/2.0\r\nHost: x\r\n\r\n"],
        [200, 400],
    ),
    "unreadable host": ([b"CONNECT /\xff HTTP/1.1\r\nHost: x\r\n\r\n"], [400]),
    "unreadable host in the target": ([b"GET http://\xff/me HTTP/1.1\r\nHost: x\r\n\r\n"], [400]),
    # aiohttp has dropped the second request, or half of it.
    "h2c": ([H2C + b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"], [401]),
    "h2c alone": (
        [H2C, ANSWERED, b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n", ANSWERED, b"\xff\r\n\r\n"],
        [401, 200, 400],
    ),
    "NUL": ([b"GET /\0", *[b"\0" * 16_000] * 60], [400]),
    "LF alone": ([b"GET / HTTP/1.1\nHost: x\n\n" * 20_000], [400]),
    "a request before": (
        [b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n", ANSWERED, b"GET /", *[PIECE] * 60],
        [200, 400],
    ),
    "chunk size": ([b"POST /login HTTP/1.1\r\n" + ASKED, ANSWERED, *[b"zz\r\n" * 4000] * 20], [100, 400]),
    "second chunk": (
        [b"POST /login HTTP/1.1\r\n" + ASKED, ANSWERED, b"1\r\n{\r\n", *[b"zz\r\n" * 4000] * 20],
        [100, 400],
    ),
    "trailers": ([b"POST /login HTTP/1.1\r\n" + ASKED, ANSWERED, b"0\r\n", *[b"A: b\r\n" * 3000] * 20], [100, 400]),
    "trailer": ([b"POST /login HTTP/1.1\r\n" + ASKED, ANSWERED, b"0\r\nA: ", *[PIECE] * 60], [100, 400]),
    "chunk extension": ([b"POST /login HTTP/1.1\r\n" + ASKED, ANSWERED, b"1;", *[PIECE] * 60], [100, 400]),
    "chunk size, 401": ([b"POST /users HTTP/1.1\r\n" + CHUNKED, ANSWERED, *[b"zz\r\n" * 4000] * 20], [401]),
    "body": ([b"POST /login HTTP/1.1\r\n" + HEADERS + b"Content-Length: 9000000\r\n\r\n", *[PIECE] * 60], [413]),
    "chunks": ([b"POST /login HTTP/1.1\r\n" + CHUNKED, *[b"3e80\r\n" + PIECE + b"\r\n"] * 60], [413]),
    "tiny chunks": ([b"POST /login HTTP/1.1\r\n" + CHUNKED, *[b"1\r\nx\r\n" * 4000] * 20], [400]),
    "chunks, 401": ([b"POST /users HTTP/1.1\r\n" + CHUNKED, *[b"1\r\nx\r\n" * 4000] * 20], [401]),
    "unknown path": ([b"GET /x HTTP/1.1\r\n" + LARGE + b"\r\n", ANSWERED] * 60 + [b"\xff\r\n\r\n"], [404] * 60 + [400]),
    "upgrade": (
        [b"GET /me HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", *[PIECE] * 60],
        [401, 400],
    ),
}


def port_of(server: ServerProcess) -> int:
    return int(server.address.rpartition(":")[2])


def memory_of(server: ServerProcess) -> float:
    """What is resident, in MB."""
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize() / 1e6


def statuses_after(port: int, pieces: Iterable[bytes]) -> list[int]:
    """Send all that is taken; what is answered until the server closes."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS) as client:
        # The server may have closed before all was sent, or read.
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                if piece is ANSWERED:
                    received += client.recv(65536)
                client.sendall(piece)
        with contextlib.suppress(ConnectionError):
            while data := client.recv(65536):
                received += data
    return [int(part[2:5]) for part in received.split(b"HTTP/1.")[1:]]


def storm(port: int, names: Iterable[str]) -> dict[str, Counter[str]]:
    """Everything at once, each kind on several connections; how often it had which answers."""
    found: dict[str, Counter[str]] = {name: Counter() for name in names}
    with ThreadPoolExecutor(len(found) * STORM) as threads:
        answers = [
            (name, threads.submit(statuses_after, port, STORMS[name][0])) for name in found for _ in range(STORM)
        ]
        for name, answer in answers:
            found[name][str(answer.result())] += 1
    return found


@pytest.mark.parametrize("parser", ["in C", "in Python"])
def test_what_is_no_request_is_refused_once_and_leaves_no_memory(tmp_path: Path, parser: str) -> None:
    """aiohttp makes an error of each further piece, and its traceback keeps the piece until a collection."""
    # The parser in Python takes seconds for the tiny chunks, in small steps too.
    without_c, names = ("", set(STORMS)) if parser == "in C" else ("1", STORMS.keys() - {"tiny chunks"})
    with serving(tmp_path, WATCHWORD__LOGS__REQUESTS="false", AIOHTTP_NO_EXTENSIONS=without_c) as server:
        # Once for what any first requests take.
        storm(port_of(server), names)
        before = memory_of(server)
        found = storm(port_of(server), names)
        grown = memory_of(server) - before
        assert found == {name: {str(STORMS[name][1]): STORM} for name in names}
        assert grown < 8
        assert server.call("GET", "/health/ready")[0] == 200
        assert "Traceback" not in server.log()
        assert server.stop() == 0


@contextlib.contextmanager
def unfinished_requests(port: int, count: int) -> Iterator[None]:
    """None at all, half a head, and half a body, in turn."""
    request = b"POST /login HTTP/1.1\r\n" + HEADERS + b"Content-Length: 9\r\n\r\n{"
    with contextlib.ExitStack() as stack:
        for number in range(count):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS))
            # The server may have closed it for the next one already.
            with contextlib.suppress(ConnectionError):
                client.sendall((b"", request[:20], request)[number % 3])
        yield


@contextlib.contextmanager
def without_descriptors(server: ServerProcess) -> Iterator[None]:
    """While it runs, the server gets no more of them."""
    limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (4, GRANTED))
    try:
        yield
    finally:
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limits)


def imports_in(log: str) -> list[str]:
    return [line for line in log.splitlines() if line.startswith("import time:")]


def test_descriptors_that_are_used_up_stop_nobody(tmp_path: Path) -> None:
    with serving(tmp_path, module="tests.process.few_descriptors", PYTHONPROFILEIMPORTTIME="1") as server:
        imported = imports_in(server.log())
        assert imported
        pid, port = server.process.pid, port_of(server)
        assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (GRANTED, GRANTED)
        admin = {"username": "admin", "password": server.admin_password()}
        lak: dict[str, Any] = {"username": "lak", "name": "Lak", "role": "customer"}
        with unfinished_requests(port, 3 * GRANTED):
            # The first login of this process, which needs whatever a login needs.
            token = server.log_in(**admin)["token"]
            assert server.call("GET", "/me", token=token)[0] == 200
            assert len(list(Path(f"/proc/{pid}/fd").iterdir())) < GRANTED
        assert server.log().count("connections are used up") == 1
        with connected(port) as client:
            assert client.ask("GET", "/health/live").status == 200
            with without_descriptors(server):
                for path in ("/users", "/me/sessions", "/verify", "/docs", "/health/ready", "/audit", "/inspect"):
                    assert client.ask("GET", path, token=token).status in {200, 204}, path
                assert client.post("/login", admin).status == 200
                authorization = [("Authorization", f"Bearer {token}")]
                # The lists of common passwords are in files.
                refused = client.post("/users", lak | {"password": "brown otters juggle turnips"}, authorization)
                assert (refused.status, refused.problem()["code"]) == (503, "overloaded")
                assert refused.values("Retry-After")
            made = client.post("/users", lak | {"password": "brown otters juggle turnips"}, authorization)
            assert made.status == 201
        assert server.stop() == 0
        assert imports_in(server.log()) == imported
        assert "Traceback" not in server.log()
