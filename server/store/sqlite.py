"""The SQLite driver, through aiosqlite: one connection writes, several read.

Two coroutines on one connection would share its transaction, so one task owns the writing connection. It takes what
waits,
runs each unit in a savepoint of its own, and commits them together: one fsync for all. SQLite 3.7.0 to 3.51.2 can
corrupt a WAL when two connections write or checkpoint at the same instant, so a group is written under a lock file that
commands beside the server take too.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosqlite
import structlog

from server.clock import SystemClock
from server.errors import StoreRefused, StoreUnavailable
from server.store.driver import Result, Row, Unit
from server.store.file_lock import FileLock
from server.store.sqlite_file import BUSY_SECONDS, make_file, migrate_file

GROUP_SIZE = 128

_log = structlog.get_logger("watchword.store")


@dataclass(slots=True)
class _Job:
    """A unit that waits, and where its outcome goes."""

    unit: Unit[Any]
    outcome: asyncio.Future[Any]


class _Transaction:
    """Statements on the writing connection."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def run(self, sql: str, *parameters: Any) -> list[Row]:
        """One hop to the connection's thread."""
        return list(await self._connection.execute_fetchall(sql, _named(parameters)))

    async def lock(self, name: str) -> None:
        """Nothing to do: there is one writer, in one process at a time."""


def _named(parameters: Sequence[Any]) -> dict[str, Any]:
    """SQLite binds `$1` by name."""
    return {str(number): value for number, value in enumerate(parameters, 1)}


class SqliteDriver:
    """An open SQLite file. Use `open_sqlite`."""

    def __init__(
        self,
        writer: aiosqlite.Connection,
        readers: Sequence[aiosqlite.Connection],
        write_lock: FileLock,
        serve_lock: FileLock | None,
    ) -> None:
        self._writer = writer
        self._readers = readers
        self._next_reader = itertools.cycle(readers)
        self._write_lock = write_lock
        self._serve_lock = serve_lock
        self._jobs: asyncio.Queue[_Job | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = asyncio.create_task(self._write_groups())

    async def read(self, sql: str, *parameters: Any) -> list[Row]:
        """Readers take turns; each sees what is committed when its SELECT begins."""
        try:
            return list(await next(self._next_reader).execute_fetchall(sql, _named(parameters)))
        except (sqlite3.Error, ValueError) as error:
            # ValueError: aiosqlite's word for a connection that was closed.
            raise _unavailable(error) from error

    async def write(self, unit: Unit[Result]) -> Result:
        """A caller that is cancelled takes its unit back if it has not begun; one that has is finished."""
        if self._task is None:
            raise StoreUnavailable
        job = _Job(unit, asyncio.get_running_loop().create_future())
        self._jobs.put_nowait(job)
        result: Result = await job.outcome
        return result

    def in_list(self, column: str, values: Sequence[str]) -> tuple[str, Any]:
        """As one JSON parameter, so the statement is the same for any number."""
        return f"{column} IN (SELECT value FROM json_each($1))", json.dumps(values)

    def is_unique_violation(self, error: Exception) -> bool:
        """By SQLite's extended code."""
        return isinstance(error, sqlite3.IntegrityError) and error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_UNIQUE

    async def close(self) -> None:
        """Write what waits, then close; the last connection checkpoints, so under the lock."""
        task, self._task = self._task, None
        if task is None:
            return
        self._jobs.put_nowait(None)
        await task
        for reader in self._readers:
            await reader.close()
        async with self._write_lock.held():
            await self._writer.close()
        self._write_lock.close()
        if self._serve_lock is not None:
            self._serve_lock.close()

    async def _write_groups(self) -> None:
        """The writer task: until close() puts None."""
        while (job := await self._jobs.get()) is not None:
            group = [job]
            ended = False
            while len(group) < GROUP_SIZE and not self._jobs.empty():
                following = self._jobs.get_nowait()
                if following is None:
                    ended = True
                    break
                group.append(following)
            waiting = [job for job in group if not job.outcome.done()]
            if waiting:
                await self._write_group(waiting)
            if ended:
                return

    async def _write_group(self, group: list[_Job]) -> None:
        """One transaction. Nobody hears of success before the COMMIT."""
        try:
            async with self._write_lock.held():
                try:
                    await self._execute("BEGIN IMMEDIATE")
                    outcomes = [await self._attempt(job.unit) for job in group]
                    await self._execute("COMMIT")
                finally:
                    if self._writer.in_transaction:
                        await self._execute("ROLLBACK")
        except Exception as error:  # noqa: BLE001 - the task must outlive every failure of the disk
            _log.error("the store did not take a write", reason=repr(error), units=len(group))
            outcomes = [StoreUnavailable() for _ in group]
        for job, outcome in zip(group, outcomes, strict=True):
            if job.outcome.done():
                continue
            if isinstance(outcome, Exception):
                job.outcome.set_exception(outcome)
            else:
                job.outcome.set_result(outcome)

    async def _attempt(self, unit: Unit[Any]) -> Any:
        """The unit's result, or its exception after its own changes were taken back."""
        await self._execute("SAVEPOINT unit")
        try:
            result = await unit(_Transaction(self._writer))
        except Exception as error:  # noqa: BLE001 - delivered to the caller
            await self._execute("ROLLBACK TO unit")
            result = error if self._is_expected(error) else _unavailable(error)
        await self._execute("RELEASE unit")
        return result

    def _is_expected(self, error: Exception) -> bool:
        return not isinstance(error, sqlite3.Error) or self.is_unique_violation(error)

    async def _execute(self, sql: str) -> None:
        await self._writer.execute_fetchall(sql)


def _unavailable(error: Exception) -> StoreUnavailable:
    _log.warning("the store did not answer", reason=repr(error))
    return StoreUnavailable()


async def open_sqlite(path: Path, *, serving: bool, readers: int) -> SqliteDriver:
    """Open a file, made and migrated if need be. Raises StoreRefused."""
    try:
        make_file(path)
    except OSError as error:
        raise StoreRefused(f"{path} can't be made ({error.strerror}); check the folder and its permissions") from None
    serve_lock = FileLock(path.with_name(path.name + ".serve-lock")) if serving else None
    if serve_lock is not None and not serve_lock.try_lock():
        serve_lock.close()
        raise StoreRefused(f"{path} is already served by another process; stop it, or set store.url to another file")
    write_lock = FileLock(path.with_name(path.name + ".write-lock"))
    opened: list[aiosqlite.Connection] = []
    try:
        async with write_lock.held():
            migrate_file(path, SystemClock().now_ms())
            opened.append(await _connect(path, "rw", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"))
            for _ in range(readers):
                opened.append(await _connect(path, "ro", "query_only = ON"))  # noqa: PERF401 - to close what was opened
    except BaseException:
        for connection in opened:
            await connection.close()
        write_lock.close()
        if serve_lock is not None:
            serve_lock.close()
        raise
    return SqliteDriver(opened[0], opened[1:], write_lock, serve_lock)


async def _connect(path: Path, mode: str, *pragmas: str) -> aiosqlite.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = await aiosqlite.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    for pragma in (*pragmas, "trusted_schema = OFF"):
        await connection.execute_fetchall(f"PRAGMA {pragma}")
    return connection
