"""Reads a large file whole after the start of its server, which would take a second per gigabyte.

It is read by a thread of its own, with a connection of its own, and in one read transaction for each part. Meanwhile
the log can't be emptied, so a part that takes too long for that is interrupted, and tried again later.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

import structlog

from server.core.priority import lower_priority
from server.database.sqlite.check_note import CheckNote
from server.database.sqlite.contents import beside
from server.database.sqlite.damage import Damage, tells_of_damage
from server.database.sqlite.file_reading import FileReading
from server.database.sqlite.integrity import Check, problem_in, tables

# By so much the log may grow while a part is read.
MOST_LOG_BYTES = 100_000_000
# How often its length is looked at.
LOOK_SECONDS = 1.0
# How often a part is tried, and the pause between, in which the log is emptied.
TRIES = 3
PAUSE_SECONDS = 60.0
# While it is cancelled. An interrupt that comes before the statement has begun does nothing.
_INTERRUPT_SECONDS = 0.02

Result = TypeVar("Result")
_log = structlog.get_logger("watchword.store")


class _Part(NamedTuple):
    """A check of the file, or of one of its tables with the indexes."""

    check: Check
    table: str | None = None


class RestCheck:
    """Use `run`. Damage that it finds is told to `damage`, as that which is noticed in use."""

    def __init__(self, path: Path, note: CheckNote, damage: Damage, is_in_place: Callable[[], bool]) -> None:
        """`is_in_place` says whether the path still leads to the file that is served."""
        self._path = path
        self._is_in_place = is_in_place
        self._note = note
        self._damage = damage
        self._thread = ThreadPoolExecutor(1, "store check", initializer=lower_priority)
        self._reading = FileReading(path)

    async def run(self) -> None:
        """Check what the start has left, and return. It may be cancelled, and ends at once."""
        check = self._note.check
        if check is None:
            return
        begun = time.monotonic()
        try:
            left_out = await self._check_all(check)
        finally:
            self._thread.shutdown(wait=False)
        if self._damage.found or self._damage.heard is not None:
            return
        seconds = round(time.monotonic() - begun, 1)
        if left_out:
            _log.warning("the store could not be checked", reason=left_out, remedy="run doctor", seconds=seconds)
            return
        self._note.clear_check()
        _log.info("the store was checked", bytes=self._path.stat().st_size, seconds=seconds)

    async def _check_all(self, check: Check) -> str | None:
        """Why a part could not be checked, if one could not. After damage the rest is left."""
        left_out = await self._check(_Part("quick_check"))
        if check == "integrity_check" and self._damage.heard is None:
            names, reason = await self._tried(tables)
            left_out = left_out or reason
            # One by one, so that each transaction is short.
            for name in names or ():
                if self._damage.heard is None:
                    left_out = await self._check(_Part("integrity_check", name)) or left_out
        return left_out

    async def _check(self, part: _Part) -> str | None:
        problem, reason = await self._tried(lambda connection: problem_in(connection, part.check, part.table))
        if problem is not None:
            self._damage.tell(problem)
        return reason

    async def _tried(self, read: Callable[[sqlite3.Connection], Result]) -> tuple[Result | None, str | None]:
        """What was read, or why nothing could be."""
        reason = None
        for tried in range(TRIES):
            if tried:
                await asyncio.sleep(PAUSE_SECONDS)
            try:
                result = await self._in_thread(read)
            except (sqlite3.Error, UnicodeDecodeError) as error:
                if self._is_in_place() and (tells_of_damage(error) or _is_of_the_disk(error)):
                    self._damage.tell(str(error) if isinstance(error, sqlite3.Error) else "its tables can't be read")
                    return None, None
                reason = str(error)
            else:
                if self._is_in_place():
                    return result, None
                reason = "it was moved or replaced"
        return None, reason

    async def _in_thread(self, read: Callable[[sqlite3.Connection], Result]) -> Result:
        """Raises sqlite3.Error, also if it was interrupted, and UnicodeDecodeError."""
        reading = asyncio.get_running_loop().run_in_executor(self._thread, self._read, read)
        before = self._log_bytes()
        try:
            while not (await asyncio.wait([reading], timeout=LOOK_SECONDS))[0]:
                if self._log_bytes() - before > MOST_LOG_BYTES:
                    self._reading.interrupt()
        except asyncio.CancelledError:
            while not reading.done():
                self._reading.interrupt()
                await asyncio.wait([reading], timeout=_INTERRUPT_SECONDS)
            # Fetched, or asyncio logs that it was never retrieved.
            reading.cancelled() or reading.exception()
            raise
        return reading.result()

    def _read(self, read: Callable[[sqlite3.Connection], Result]) -> Result:
        with self._reading.connection() as connection:
            return read(connection)

    def _log_bytes(self) -> int:
        with suppress(OSError):
            return beside(self._path, "-wal").stat().st_size
        return 0


def _is_of_the_disk(error: BaseException) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_IOERR
