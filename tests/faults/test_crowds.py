"""Crowds of clients that want nothing: others notice nothing of them, and nothing of them is left (CWE-400)."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.calling import wait_until
from tests.faults.attacked import MEMORY_MB, PARSERS, attacked, in_full
from tests.faults.attackers import LIVE, come_and_go, crowd, reset
from tests.faults.watching import Watching
from tests.figures import Figures
from tests.steady_load import steady_load
from tests.volume import volume

CROWD = 10_000
TLS = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
# What each says, and how it leaves.
PASSERS_BY: dict[str, tuple[bytes, Callable[[socket.socket], None]]] = {
    "nothing": (b"", socket.socket.close),
    "nothing, reset": (b"", reset),
    "a byte": (b"G", socket.socket.close),
    "a byte, reset": (b"G", reset),
    "a request, reset": (LIVE, reset),
    "TLS": (TLS, socket.socket.close),
    "TLS, reset": (TLS, reset),
}


@pytest.mark.parametrize(
    ("said", "parser"),
    [
        (b"", PARSERS[0]),
        pytest.param(b"G", PARSERS[1], marks=in_full),
        pytest.param(LIVE, PARSERS[0], marks=in_full),
    ],
    ids=["nothing", "a byte", "a request"],
)
def test_a_crowd_that_waits_and_leaves_at_once(tmp_path: Path, said: bytes, parser: str, figures: Figures) -> None:
    size = volume(CROWD)
    with attacked(tmp_path, parser=parser) as server:
        before = server.warm()
        with steady_load(server.server.address, server.token, pid=server.pid) as load:
            watching = Watching(figures, load)
            with crowd(server.port, size, said) as kill:
                wait_until(lambda: server.descriptors().total() >= before.descriptors.total() + size)
                watching.end("they come")
                time.sleep(1)
                watching.end("they wait")
                there = server.held()
                kill()
                wait_until(lambda: server.descriptors().total() < before.descriptors.total() + size // 2)
                time.sleep(volume(5))
                watching.end("they leave, and 5 s")
        after = server.left_nothing(before)
        what = f"{size} that said {said.decode()[:4].strip() or 'nothing'} (parser {parser})"
        watching.note(what)
        figures.told(f"{what}: memory of each", (there.memory_mb - before.memory_mb) / size * 1000, "KB")
        figures.at_most(f"{what}: memory", after.memory_mb - before.memory_mb, MEMORY_MB, "MB")


@in_full
@pytest.mark.parametrize("parser", PARSERS)
def test_passers_by(tmp_path: Path, parser: str, figures: Figures) -> None:
    size = volume(3_000)
    with attacked(tmp_path, parser=parser) as server:
        before = server.warm()
        with steady_load(server.server.address, server.token, pid=server.pid) as load:
            watching = Watching(figures, load)
            for what, (said, leave) in PASSERS_BY.items():
                watching.begin()
                come_and_go(server.port, size, said, leave)
                watching.end(what)
        after = server.left_nothing(before)
        what = f"{size} come and go (parser {parser})"
        watching.note(what)
        figures.at_most(f"{what}: memory", after.memory_mb - before.memory_mb, MEMORY_MB, "MB")
        # A line for each request and for each that is none, and none of them is long.
        lines = server.server.log().splitlines()
        assert len(lines) < 20 + len(load.seen(0, time.monotonic()).answers) + 3 * size
        assert max(map(len, lines)) < 1000
