"""What a child of the parent begins with, and how it is forked."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from server.cli.channel import Channel
from server.http.balance import Balance
from server.nodes.model import NodeName
from server.settings import Settings
from server.settings.cores import usable_cores

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Inherited:
    """What all children share with the parent and with each other. The parent opens it before the first fork."""

    listening: socket.socket
    node: NodeName
    balance: Balance
    # Descriptors that keep another server from the store while this process or another of this server has them open.
    # The lock belongs to the open file, so nobody may release it (LOCK_UN); closing is right.
    store: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Child:
    """What a child knows. `number` is 0 to `count` - 1, and a replacement has that of the worker that died.

    The first child has no number: it is no worker, but prepares the store and ends.
    """

    number: int | None
    count: int
    settings: Settings
    inherited: Inherited
    channel: Channel


def share_of(child: Child) -> Settings:
    """The settings of a worker: what is set for the whole server, threads and queue of hashes, is shared out."""
    passwords = child.settings.passwords
    share = {
        "hash_threads": max(1, _part(passwords.hash_threads or usable_cores(), child)),
        "hash_queue": passwords.hash_queue and max(1, _part(passwords.hash_queue, child)),
    }
    return child.settings.share(passwords=passwords.model_copy(update=share))


def _part(total: int, child: Child) -> int:
    """A whole part of the total; the parts of all workers add up to it."""
    number = child.number or 0
    return total * (number + 1) // child.count - total * number // child.count


class Process:
    """A child, as the parent knows it. Times are seconds of the monotonic clock."""

    def __init__(self, pid: int, number: int | None, channel: Channel, now: float) -> None:
        self.pid = pid
        self.number = number
        self.channel = channel
        self.heard_at = now
        self.is_ready = False
        self.was_hung = False
        self.misses_store = False

    def send(self, *numbers: signal.Signals) -> None:
        """Send signals. A process that has ended exists until it is waited for, so this can't hit another one."""
        for number in numbers:
            os.kill(self.pid, number)

    def is_stopped(self) -> bool:
        """Whether somebody has stopped it, by SIGSTOP or with a debugger (proc(5); unknown on other systems)."""
        try:
            with open(f"/proc/{self.pid}/stat", "rb") as file:  # noqa: PTH123 - the parent imports little
                return file.read().rpartition(b")")[2].split()[0] in {b"T", b"t"}
        except OSError:
            return False


def die_with(parent: int) -> None:
    """Let the kernel kill this child when the parent is gone, however it ended (PR_SET_PDEATHSIG of prctl(2)).

    Nothing else ends a child that is stopped or hangs; it would keep port and store from the next server. On systems
    other than Linux a worker ends when the channel does.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        # It ended before the call.
        os._exit(1)
