"""The log's own thread: nobody waits for a reader, and nothing is torn or lost in silence."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.logs import writer_thread
from server.logs.writer_thread import WriterThread

SECONDS = 30.0


class Told:
    """How many lines were said to be dropped."""

    def __init__(self) -> None:
        self.counts: list[int] = []
        self.came = threading.Event()

    def __call__(self, count: int) -> None:
        self.counts.append(count)
        self.came.set()


class Pipe:
    """Closed by the test's end; the thread has written all it had to by then."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()

    def close_writing(self) -> None:
        if self.writing >= 0:
            os.close(self.writing)
        self.writing = -1

    def close_reading(self) -> None:
        if self.reading >= 0:
            os.close(self.reading)
        self.reading = -1


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close_writing()
    pipe.close_reading()


def read_whole_lines(reading: int) -> list[bytes]:
    text = os.read(reading, 65536)
    while not text.endswith(b"\n"):
        text += os.read(reading, 65536)
    return text.splitlines()


def accounts_for(line: bytes) -> int:
    return int(line.removeprefix(b"dropped ")) if line.startswith(b"dropped") else 1


@pytest.mark.parametrize("blocking", [True, False])
def test_a_reader_that_stalls_holds_nobody_up_and_is_told_what_it_missed(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, blocking: bool
) -> None:
    monkeypatch.setattr(writer_thread, "WAITING_BYTES", 100_000)
    reading, writing = pipe.reading, pipe.writing
    # Whoever shares the pipe may have set it so.
    os.set_blocking(writing, blocking)

    def tell(count: int) -> None:
        log.write(b"dropped %d\n" % count)

    log = WriterThread(writing, tell)
    for number in range(3000):
        assert log.write(b"%099d\n" % number) == 100
    # Nobody has read, and it is not waited for.
    log.drain(0.01)
    lines: list[bytes] = []
    while sum(map(accounts_for, lines)) < 3000:
        lines += read_whole_lines(reading)
    numbers = [int(line) for line in lines if not line.startswith(b"dropped")]
    # As much as the pipe takes and as may wait.
    assert 1000 <= len(numbers) < 2700
    assert numbers == sorted(set(numbers))
    assert sum(map(accounts_for, lines)) == 3000
    log.write(b"it goes again\n")
    assert read_whole_lines(reading) == [b"it goes again"]


def test_a_file_gets_every_line_in_order(tmp_path: Path) -> None:
    path = tmp_path / "log"
    told = Told()
    with path.open("wb") as file:
        log = WriterThread(file.fileno(), told)
        for number in range(20_000):
            log.write(b"%d\n" % number)
        log.drain(SECONDS)
    assert path.read_text() == "".join(f"{number}\n" for number in range(20_000))
    assert told.counts == []


def test_a_disk_that_was_full_is_told_and_a_line_it_cut_does_not_run_into_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    room = [10]
    really_write = os.write

    def write(descriptor: int, data: memoryview) -> int:
        if room[0] == 0:
            raise OSError(28, "No space left on device")
        taken = really_write(descriptor, data[: room[0]])
        room[0] -= taken
        return taken

    monkeypatch.setattr(os, "write", write)
    told = Told()
    with path.open("wb") as file:
        log = WriterThread(file.fileno(), told)
        for line in (b"first\n", b"second\n", b"third\n"):
            log.write(line)
            log.drain(SECONDS)
        assert told.counts == []
        room[0] = 1000
        log.write(b"fourth\n")
        assert told.came.wait(SECONDS)
        log.drain(SECONDS)
    assert told.counts == [2]
    assert path.read_text() == "first\nseco\nfourth\n"


@pytest.mark.parametrize("target", ["/dev/full", "a pipe that nobody reads", "closed"])
def test_what_can_not_be_written_costs_little_and_ends_nothing(
    target: str, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing = os.open("/dev/full", os.O_WRONLY) if target == "/dev/full" else os.dup(pipe.writing)
    pipe.close_reading()
    told = Told()
    log = WriterThread(writing, told)
    if target == "closed":
        os.close(writing)
        # So that nothing else gets its number.
        os.dup2(os.open("/dev/null", os.O_RDONLY), writing)
    tries: list[int] = []
    really_write = os.write

    def write(descriptor: int, data: memoryview) -> int:
        tries.append(descriptor)
        return really_write(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    for _ in range(100):
        assert log.write(b"a line\n") == 7
        log.drain(SECONDS)
    assert told.counts == []
    # Nothing is tried again and again.
    assert tries.count(writing) == 100


def test_the_end_waits_for_the_last_line_but_for_no_reader(pipe: Pipe) -> None:
    reading, writing = pipe.reading, pipe.writing
    log = WriterThread(writing, Told())
    log.write(b"the last\n")
    log.drain(SECONDS)
    os.set_blocking(reading, False)
    assert os.read(reading, 100) == b"the last\n"
    log.write(b"x" * 200_000 + b"\n")
    log.drain(0.01)
    os.set_blocking(reading, True)
    assert read_whole_lines(reading) == [b"x" * 200_000]
    log.drain(SECONDS)


def test_a_text_stream_of_it_passes_whole_lines_on(pipe: Pipe) -> None:
    reading, writing = pipe.reading, pipe.writing
    log = WriterThread(writing, Told())
    text = log.text("ascii")
    print("é", 1, file=text)
    print("a traceback", "of two lines", sep="\n", file=text)
    log.drain(SECONDS)
    assert os.read(reading, 100) == b"\\xe9 1\na traceback\nof two lines\n"
    assert not text.isatty()


WORKER = """
import os, sys
from server.logs.writer_thread import WriterThread
log = WriterThread(1, print)
letter = sys.argv[1].encode()
sys.stdin.readline()
for _ in range(40):
    log.write((letter * 5000 + b"\\n") * 5)
    log.drain(30)
"""


def test_processes_that_share_a_pipe_tear_no_line(pipe: Pipe) -> None:
    reading, writing = pipe.reading, pipe.writing
    command = [sys.executable, "-c", WORKER]
    processes = [subprocess.Popen([*command, letter], stdin=subprocess.PIPE, stdout=writing) for letter in "ab"]
    pipe.close_writing()
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    with os.fdopen(os.dup(reading), "rb") as text:
        lines = text.read().splitlines()
    assert [process.wait(SECONDS) for process in processes] == [0, 0]
    assert sorted(lines) == [b"a" * 5000] * 200 + [b"b" * 5000] * 200
