"""What a process says of itself, in the first numbers of its row: gauges are made of it. Times are of time.monotonic().

That clock is the same for all processes of a machine. So whoever answers a scrape can tell how old the signs of life of
another one are, and a worker that hangs is seen although it can't say so.
"""

from __future__ import annotations

from enum import IntEnum

from server.metrics.families import Row

# How often a process notes its state.
TICK_SECONDS = 0.5
# The longest lag is kept for one to two of these times, so a scrape every 30 seconds sees each.
WINDOW_SECONDS = 15.0


class Cell(IntEnum):
    """The places of the numbers. PID is 0 while no process has the row."""

    PID = 0
    TICKED_AT = 1
    FOLLOWED_AT = 2
    HASHES_WAITING = 3
    LAG = 4
    LAG_BEFORE = 5
    LAG_SINCE = 6


class ProcessState:
    """The state of the process that has this row."""

    def __init__(self, row: Row) -> None:
        self._row = row

    def begin(self, pid: int, now: float) -> None:
        """A process takes the row. Its revocations were read just now."""
        for cell in Cell:
            self._row[cell] = 0.0
        for cell in (Cell.TICKED_AT, Cell.FOLLOWED_AT, Cell.LAG_SINCE):
            self._row[cell] = now
        self._row[Cell.PID] = float(pid)

    def end(self) -> None:
        """No process has the row any more."""
        self._row[Cell.PID] = 0.0

    def tick(self, now: float, late: float) -> None:
        """The event loop has come to this `late` seconds after it should have."""
        row = self._row
        row[Cell.TICKED_AT] = now
        if now - row[Cell.LAG_SINCE] >= WINDOW_SECONDS:
            row[Cell.LAG_BEFORE], row[Cell.LAG], row[Cell.LAG_SINCE] = row[Cell.LAG], 0.0, now
        row[Cell.LAG] = max(row[Cell.LAG], late)

    def followed(self, now: float) -> None:
        """Revocations and keys were read."""
        self._row[Cell.FOLLOWED_AT] = now

    def hashes_waiting(self, count: int) -> None:
        """So many hashes wait for a thread."""
        self._row[Cell.HASHES_WAITING] = float(count)

    @property
    def pid(self) -> int:
        """0 if no process has the row."""
        return int(self._row[Cell.PID])

    @property
    def queue_depth(self) -> float:
        """How many hashes wait."""
        return self._row[Cell.HASHES_WAITING]

    def revocation_lag(self, now: float) -> float:
        """How long ago revocations and keys were read."""
        return max(0.0, now - self._row[Cell.FOLLOWED_AT])

    def event_loop_lag(self, now: float) -> float:
        """The longest of late, or how late the event loop is already."""
        row = self._row
        return max(row[Cell.LAG], row[Cell.LAG_BEFORE], now - row[Cell.TICKED_AT] - TICK_SECONDS)
