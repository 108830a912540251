"""The channel between the parent and one of its children: a socket pair, on which messages go both ways.

A message is one line of JSON, `[kind, body]`. These kinds are used:

* `alive`, worker to parent, every second: the event loop of the worker answers.
* `ready`, worker to parent: it accepts requests.
* `well`, worker to parent: a login could succeed.
* `settings`, both ways: the steps of a reload (parent_duties.py, duties.py).
* `unavailable`, worker to parent: it ends, since it could not open the store.
* `prepared`, preparation to parent: the greeting, and the descriptors that keep the store ours (SCM_RIGHTS).

A new kind needs nothing here: the parent sends it to all workers with `Supervisor.tell`, and a worker gets it with
`Worker.on`.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from typing import Any, NamedTuple

_CHUNK = 65536
_MOST_DESCRIPTORS = 8


class Message(NamedTuple):
    """What arrived. `body` is any JSON value."""

    kind: str
    body: Any


class Channel:
    """One end. No method blocks, and none fails if the other process is gone: the parent sees its death otherwise."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self._unsent = b""
        self._unread = b""
        # The descriptors that arrived. Whoever takes them has to close them.
        self.descriptors: list[int] = []
        self.has_ended = False

    def fileno(self) -> int:
        """The descriptor, to wait for."""
        return self._end.fileno()

    def is_behind(self) -> bool:
        """Whether the other process has not read what was sent."""
        return bool(self._unsent)

    def send(self, kind: str, body: Any = None, descriptors: Sequence[int] = ()) -> None:
        """Send a message. What the socket does not take now, because the other process is busy, waits for `flush`."""
        line = json.dumps([kind, body]).encode() + b"\n"
        if descriptors and not self._unsent:
            line = line[self._try_to_send(line, descriptors) :]
        self._unsent += line
        self.flush()

    def flush(self) -> None:
        """Send on what waits."""
        if self._unsent:
            self._unsent = self._unsent[self._try_to_send(self._unsent) :]

    def _try_to_send(self, data: bytes, descriptors: Sequence[int] = ()) -> int:
        try:
            return socket.send_fds(self._end, [data], descriptors) if descriptors else self._end.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)

    def receive(self) -> list[Message]:
        """The messages that have arrived, perhaps none. `has_ended` says whether the other end was closed."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self._end, _CHUNK, _MOST_DESCRIPTORS)
        except BlockingIOError:
            return []
        except OSError:
            data, descriptors = b"", []
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        self.descriptors += descriptors
        self.has_ended = not data
        *lines, self._unread = (self._unread + data).split(b"\n")
        return [Message(*json.loads(line)) for line in lines]

    def close(self) -> None:
        """Close this end."""
        self._end.close()
