"""Clients that send or ask for too much: they are refused, and nothing of it is left (CWE-400, CWE-409)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.attacked import MEMORY_MB, PARSERS, Attacked, attacked, in_full
from tests.faults.attackers import HEADERS, LIVE, PIECE, bomb, last, pipeline, send_for_ever, unread
from tests.faults.watching import Watching
from tests.figures import Figures
from tests.steady_load import steady_load
from tests.volume import IS_FULL, volume

GIGABYTE = 2**30
CHUNK = b"10000\r\n" + PIECE + b"\r\n"
ASKED = b"Expect: 100-continue\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n" % GIGABYTE
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
ENCODED = b"Content-Encoding: gzip\r\n"
PIPELINED = 1000

# Head, what is sent behind it again and again, and the answers. Whoever does not wait for the 100 may get it too.
FLOODS: dict[str, tuple[bytes, bytes, set[tuple[int, ...]]]] = {
    "a gigabyte": (b"POST /login HTTP/1.1\r\n" + HEADERS + LENGTH, PIECE, {(413,)}),
    "a gigabyte that was announced": (
        b"POST /login HTTP/1.1\r\n" + HEADERS + ASKED + LENGTH,
        PIECE,
        {(413,), (100, 413)},
    ),
    "a gigabyte in chunks": (b"POST /login HTTP/1.1\r\n" + HEADERS + CHUNKED, CHUNK, {(413,)}),
    "chunks that were announced": (
        b"POST /login HTTP/1.1\r\n" + HEADERS + ASKED + CHUNKED,
        CHUNK,
        {(413,), (100, 413)},
    ),
    "a gigabyte without a token": (b"POST /users HTTP/1.1\r\n" + HEADERS + LENGTH, PIECE, {(401,)}),
    "chunks without a token": (b"POST /users HTTP/1.1\r\n" + HEADERS + CHUNKED, CHUNK, {(401,)}),
    "a gigabyte behind a GET": (b"GET /health/live HTTP/1.1\r\n" + HEADERS + LENGTH, PIECE, {(200,)}),
    "a gigabyte for no route": (b"PUT /x HTTP/1.1\r\n" + HEADERS + LENGTH, PIECE, {(404,)}),
    "compressed": (b"POST /login HTTP/1.1\r\n" + HEADERS + ENCODED + LENGTH, PIECE, {(415,)}),
    "a line without end": (b"GET /", PIECE, {(400,)}),
    "a header without end": (b"GET / HTTP/1.1\r\nA: ", PIECE, {(400,)}),
}


def login(server: Attacked) -> bytes:
    body = json.dumps({"username": "admin", "password": server.password}).encode()
    return b"POST /login HTTP/1.1\r\n" + HEADERS + b"Content-Length: %d\r\n\r\n" % len(body) + body


def authorized(server: Attacked, path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\n\r\n".encode()


@pytest.mark.parametrize("parser", [PARSERS[0], pytest.param(PARSERS[1], marks=in_full)])
def test_who_sends_for_ever_is_answered_and_let_go(tmp_path: Path, parser: str, figures: Figures) -> None:
    size = volume(50)
    with attacked(tmp_path, parser=parser) as server:
        before = server.warm()
        with steady_load(server.server.address, server.token, pid=server.pid) as load:
            watching = Watching(figures, load)
            for what, (head, piece, expected) in FLOODS.items() if IS_FULL else list(FLOODS.items())[::4]:
                watching.begin()
                found = send_for_ever(server.port, size, head, piece, GIGABYTE)
                # Who sends for two seconds more than anybody takes may miss the answer.
                assert found.keys() <= expected | {()}, (what, found)
                assert found[()] < size, (what, found)
                watching.end(what)
            # The parser in Python has read the whole body by then, and would keep the connection.
            head = b"POST /login HTTP/1.1\r\nConnection: close\r\n" + HEADERS + ENCODED + CHUNKED
            packed = bomb()
            assert send_for_ever(server.port, size, head, b"%x\r\n%b\r\n0\r\n\r\n" % (len(packed), packed), 1) == {
                (415,): size
            }
            watching.end("gzip bombs")
        after = server.left_nothing(before)
        what = f"{size} floods (parser {parser})"
        watching.note(what)
        figures.at_most(f"{what}: memory", after.memory_mb - before.memory_mb, MEMORY_MB, "MB")


@pytest.mark.parametrize("parser", [PARSERS[0], pytest.param(PARSERS[1], marks=in_full)])
def test_who_asks_for_a_thousand_answers_at_once(tmp_path: Path, parser: str, figures: Figures) -> None:
    count = volume(PIPELINED)
    with attacked(tmp_path, parser=parser) as server:
        before = server.warm()
        me = authorized(server, "/me")
        users = authorized(server, "/users")
        asked: dict[str, tuple[list[bytes], float]] = {
            "answers that are read": ([me] * (count - 1) + [last(me)], 0.0),
            "answers that are read late": ([users] * (count - 1) + [last(users)], 1.0),
            "behind a login": ([login(server), *[LIVE] * (count - 2), last(LIVE)], 0.0),
        }
        with steady_load(server.server.address, server.token, pid=server.pid) as load:
            watching = Watching(figures, load)
            for what, (requests, late) in asked.items():
                watching.begin()
                assert pipeline(server.port, 5, requests, late=late) == {(200,) * count: 5}
                watching.end(what)
        after = server.left_nothing(before)
        what = f"5 x {count} requests at once (parser {parser})"
        watching.note(what, hashes=True)
        figures.at_most(f"{what}: memory", after.memory_mb - before.memory_mb, MEMORY_MB, "MB")


LONG: list[Callable[[Attacked], bytes]] = [
    lambda _: b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n",
    lambda server: authorized(server, "/users?limit=100"),
    lambda server: authorized(server, "/audit?limit=100"),
]


@in_full
@pytest.mark.parametrize("parser", PARSERS)
def test_who_reads_no_answer_holds_nobody_up(tmp_path: Path, parser: str, figures: Figures) -> None:
    size = volume(200)
    with attacked(tmp_path, parser=parser) as server:
        for _ in range(100):
            server.server.log_in("admin", server.password)
        before = server.warm()
        with steady_load(server.server.address, server.token, pid=server.pid) as load:
            watching = Watching(figures, load)
            for request in LONG:
                with unread(server.port, size, request(server)):
                    watching.end(f"{request(server).split()[1].decode()}")
        after = server.left_nothing(before)
        what = f"{size} that read no answer (parser {parser})"
        watching.note(what)
        figures.at_most(f"{what}: memory", after.memory_mb - before.memory_mb, MEMORY_MB, "MB")
