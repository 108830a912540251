"""Workers that accept from one socket get about the same number of its connections.

The kernel gives a new connection to whoever asks first, and that is the worker that is awake already. Of the 64
connections that a proxy keeps open, one of two workers often got 60, so the other core had nothing to do. So a worker
that has more connections than another one hands the new connection over to that one (SCM_RIGHTS of unix(7)).
"""

from __future__ import annotations

import mmap
import os
import socket

# As many connections may be on their way to a worker from each of the others. If it is stopped or hangs, no more are
# lost to it, and whoever takes its place gets these.
_ON_THE_WAY = 32
_ABSENT = 2**31 - 1
# In place of the number of a worker that has sent something.
_PARENT = 255


class Balance:
    """What the parent makes before it forks: numbers in memory that all workers share, and an inbox for each worker.

    `_taken[to][sender]` counts what worker `to` took from its inbox. Each worker writes only the row of its own
    number, and the parent that of a worker that has died, so nothing needs a lock.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        memory = memoryview(mmap.mmap(-1, 4 * workers * (workers + 1))).cast("i")
        self._connections, self._taken = memory[:workers], memory[workers:]
        self._inboxes = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(workers)]
        for number, ends in enumerate(self._inboxes):
            self.leave(number)
            for end in ends:
                end.setblocking(False)

    def close(self) -> None:
        """Close the inboxes."""
        for ends in self._inboxes:
            for end in ends:
                end.close()

    def leave(self, number: int) -> None:
        """This worker accepts no more, so nothing is handed to it."""
        self._connections[number] = _ABSENT

    def note(self, number: int, connections: int) -> None:
        """So many connections has this worker."""
        self._connections[number] = connections

    def connections(self, number: int) -> int:
        """As many has this worker; far too many if it has left."""
        return self._connections[number]

    def taken(self, to: int, sender: int) -> int:
        """How many connections of that sender worker `to`, and those whose place it has, took from the inbox."""
        return self._taken[to * self.workers + sender]

    def put(self, to: int, sender: int, connection: socket.socket) -> bool:
        """Put a connection into an inbox. False if that can't be; then the sender still has it."""
        try:
            socket.send_fds(self._inboxes[to][1], [bytes([sender])], [connection.fileno()])
        except OSError:
            return False
        return True

    def inbox(self, number: int) -> socket.socket:
        """Where `take` takes from, to wait for."""
        return self._inboxes[number][0]

    def bury(self, number: int) -> None:
        """In the parent: this worker has died. What waits in its inbox goes to the worker with the fewest.

        If there is no other worker, it waits for the one that takes this one's place.
        """
        self.leave(number)
        to = min(range(self.workers), key=self.connections)
        while self.connections(to) != _ABSENT and (connection := self.take(number)) is not None:
            with connection:
                self.put(to, _PARENT, connection)

    def take(self, number: int) -> socket.socket | None:
        """A connection from the inbox."""
        try:
            sender, descriptors, _, _ = socket.recv_fds(self._inboxes[number][0], 1, 1)
        except OSError:
            return None
        if sender[0] != _PARENT:
            self._taken[number * self.workers + sender[0]] += 1
        if not descriptors:
            # This process has no descriptor left for it.
            return None
        os.set_inheritable(descriptors[0], False)
        return socket.socket(fileno=descriptors[0])


class Share:
    """One worker's view of the balance."""

    def __init__(self, balance: Balance, number: int) -> None:
        self._balance = balance
        self.number = number
        self._count = 0
        self._has_left = False
        # Those that a process before this one has put on the way count as taken: nobody knows of them any more.
        self._put = [balance.taken(to, number) for to in range(balance.workers)]
        balance.note(number, 0)

    def change(self, by: int) -> None:
        """A connection was made (1) or lost (-1)."""
        self._count += by
        if not self._has_left:
            self._balance.note(self.number, self._count)

    def leave(self) -> None:
        """Hand all further connections to the others, if one is there."""
        self._has_left = True
        self._balance.leave(self.number)

    def hand_over(self, connection: socket.socket) -> bool:
        """Hand the connection to the worker with the fewest, if this one has more. False if it keeps it."""
        fewest, target = self._balance.connections(self.number), self.number
        for other in range(self._balance.workers):
            on_the_way = self._put[other] - self._balance.taken(other, self.number)
            load = self._balance.connections(other) + on_the_way
            # A small difference is not worth it, for connections that are soon closed again.
            if load + 1 + load // 16 < fewest and on_the_way < _ON_THE_WAY and other != self.number:
                fewest, target = load, other
        if target == self.number or not self._balance.put(target, self.number, connection):
            return False
        self._put[target] += 1
        connection.close()
        return True

    @property
    def inbox(self) -> socket.socket:
        """Where others put connections for this worker."""
        return self._balance.inbox(self.number)

    def take(self) -> socket.socket | None:
        """A connection that another worker has handed over."""
        return self._balance.take(self.number)
