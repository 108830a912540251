"""The channel between parent and worker."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.cli.channel import Channel, Message
from server.cli.child import Child, Inherited, share_of
from server.cli.signals import ServerSignals
from server.cli.worker import ORPHAN_SECONDS, Worker
from server.http.balance import Balance
from server.nodes.model import NodeName
from server.settings import Settings
from server.settings.tree import PasswordSettings


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    one, other = (Channel(end) for end in socket.socketpair())
    yield one, other
    one.close()
    other.close()


def received(channel: Channel, sender: Channel, count: int) -> list[Message]:
    messages: list[Message] = []
    while len(messages) < count:
        sender.flush()
        messages += channel.receive()
    return messages


def test_messages_arrive_whole_and_in_order_also_if_the_reader_is_late(ends: tuple[Channel, Channel]) -> None:
    parent, worker = ends
    bodies = [{"text": 100_000 * chr(97 + number)} for number in range(10)]
    for body in bodies:
        parent.send("settings", body)
    assert parent.is_behind()
    assert received(worker, parent, 10) == [("settings", body) for body in bodies]
    assert not parent.is_behind()
    assert worker.receive() == []
    worker.send("ready")
    assert received(parent, worker, 1) == [("ready", None)]


def test_a_descriptor_arrives_with_its_message(ends: tuple[Channel, Channel], tmp_path: Path) -> None:
    parent, worker = ends
    with (tmp_path / "file").open("w") as file:
        worker.send("prepared", "text", [file.fileno()])
        assert received(parent, worker, 1) == [("prepared", "text")]
        (descriptor,) = parent.descriptors
        assert os.path.sameopenfile(descriptor, file.fileno())
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)


def test_the_end_of_the_other_process_is_no_error(ends: tuple[Channel, Channel]) -> None:
    parent, worker = ends
    worker.send("ready")
    worker.close()
    assert received(parent, worker, 1) == [("ready", None)]
    assert parent.receive() == []
    assert parent.has_ended
    parent.send("settings")
    assert not parent.is_behind()


@pytest.fixture
def inherited() -> Iterator[Inherited]:
    balance = Balance(1)
    with socket.socket() as listening:
        yield Inherited(listening, NodeName("", "", 0), balance)
    balance.close()


async def test_a_worker_hears_its_parent_and_is_asked_to_end_once_when_that_is_gone(
    ends: tuple[Channel, Channel], inherited: Inherited, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, other = ends
    signals = ServerSignals()
    asked: list[int] = []
    # The real one would end this process.
    monkeypatch.setattr(signals, "ask", asked.append)
    worker = Worker(Child(0, 1, Settings(), inherited, other), signals)
    heard: asyncio.Queue[object] = asyncio.Queue()
    worker.on("settings", heard.put_nowait)
    with worker.following():
        worker.tell_ready()
        parent.send("unknown")
        parent.send("settings", [1])
        assert await heard.get() == [1]
        # The first beat comes by itself.
        assert {message.kind for message in received(parent, other, 2)} == {"alive", "ready"}
        assert asked == []
        parent.close()
        for _ in range(5):
            await asyncio.sleep(0.01)
        assert asked == [1]
    assert signals.seconds == ORPHAN_SECONDS


@pytest.mark.parametrize(
    ("count", "totals", "shares"),
    [
        (2, (4, 64), [(2, 32), (2, 32)]),
        (3, (4, 64), [(1, 21), (1, 21), (2, 22)]),
        (4, (2, 2), [(1, 1), (1, 1), (1, 1), (1, 1)]),
        (2, (2, 0), [(1, 0), (1, 0)]),
    ],
)
def test_threads_and_queue_of_hashes_are_shared_out(
    ends: tuple[Channel, Channel], inherited: Inherited,
    count: int, totals: tuple[int, int], shares: list[tuple[int, int]],
) -> None:  # fmt: skip
    settings = Settings(passwords=PasswordSettings(hash_threads=totals[0], hash_queue=totals[1]))
    children = [Child(number, count, settings, inherited, ends[0]) for number in range(count)]
    found = [share_of(child).passwords for child in children]
    assert [(part.hash_threads, part.hash_queue) for part in found] == shares
