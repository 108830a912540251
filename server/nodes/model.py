"""A server that shares its database with others."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import NamedTuple


class NodeName(NamedTuple):
    """Which server this is. The id is random, since hosts and process ids repeat; the workers of a server share it.

    `worker` is the number of this process among them: the first one speaks for all.
    """

    id: str
    hostname: str
    pid: int
    worker: int = 0

    @classmethod
    def of_this_process(cls, node_id: str) -> NodeName:
        """The name of the server whose first process this is."""
        return cls(node_id, socket.gethostname(), os.getpid())


@dataclass(frozen=True, slots=True)
class Node:
    """A row of `nodes`. `settings` is the JSON of agreement.py; the times are by the clock of the database."""

    id: str
    hostname: str
    pid: int
    version: str
    latest_migration: int
    settings: str
    clock_ahead_ms: int
    started_at: int
    seen_at: int

    @property
    def label(self) -> str:
        """How an operator finds it."""
        return f"{self.hostname} (pid {self.pid})"


class ClockAhead(NamedTuple):
    """A clock against the one of the database: so much ahead, or behind if negative, give or take the uncertainty."""

    ms: int
    uncertain_ms: int
