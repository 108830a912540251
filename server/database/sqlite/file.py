"""Checks a database file before it is used: whether it is ours, complete and up to date.

These functions block, so they run in a thread. The caller holds the write lock, except before the first process has
opened the file.
"""

from __future__ import annotations

import fcntl
import sqlite3
import stat
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from server.core.errors import StoreRefused
from server.database.migration_files import Migration, migrations
from server.database.pending_migrations import Applied, newer, not_migrated, pending
from server.database.sqlite.contents import beside, has_log, log_fits, uri, was_complete, was_replaced
from server.database.sqlite.integrity import Check, problem_in
from server.database.sqlite.length import missing_pages
from server.database.sqlite.log_check import commits_behind
from server.database.sqlite.refusals import damaged, refusals
from server.files.ownership import make_folder, why_denied

# "WWrd" in the header of the file, which marks our files.
APPLICATION_ID = 0x57577264
_HEAD_BYTES = 100
# Length and start of the byte range that SQLite locks in an open file (see its file format).
_SHARED_RANGE = (510, 0x40000002)
# The first version with json_each built in.
OLDEST_SQLITE = (3, 38)
# How long to wait for SQLite's own locks, which other programs may hold.
LOCK_SECONDS = 2.0


def prepare_folder(path: Path, *, making: bool = True) -> None:
    """Make the folder of the database with mode 700, and check the version of SQLite. Raises StoreRefused.

    Without `making` the database has to be there.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreRefused(f"this Python has SQLite {sqlite3.sqlite_version}; 3.38 or newer is needed")
    with closing(sqlite3.connect(":memory:")) as connection:
        if not connection.execute("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'").fetchone():
            raise StoreRefused("the SQLite of this Python has no FTS5, by which users are found; use another build")
    with refusals(path):
        is_there = path.exists() and path.stat().st_size > 0
    if not making and not is_there:
        raise not_migrated(str(path), inspect(path, thorough=False))
    try:
        make_folder(path.parent)
    except OSError as error:
        reason = f"can't make the folder {path.parent} ({error.strerror}); choose another store.url"
        denied = why_denied([path]) if isinstance(error, PermissionError) else None
        raise StoreRefused(denied or reason) from error
    refuse_no_file(path)


def refuse_no_file(path: Path) -> None:
    """Raise StoreRefused if the path exists and is not a regular file: opening a pipe could block for ever."""
    with refusals(path):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            return
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
        raise StoreRefused(f"{path} is {kind}, no file; choose another path")


def is_ours(path: Path) -> bool:
    """Whether the head of a file says that it is a store, whole or not (https://www.sqlite.org/fileformat.html)."""
    if not path.is_file():
        return False
    with refusals(path), path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return head.startswith(b"SQLite format 3\0") and head[68:72] == APPLICATION_ID.to_bytes(4, "big")


def inspect(path: Path, *, thorough: bool, whole: bool = True, check: Check = "quick_check") -> list[Migration]:
    """The migrations that the file still needs; all of them if there is no file. Changes nothing.

    `thorough` reads the log, and with `whole` every page, about a second per gigabyte, by this check or a closer one.
    Before migrations the file is always read. Raises StoreRefused for a file that must not be used.
    """
    known = migrations("sqlite")
    refuse_no_file(path)
    with refusals(path):
        if not path.exists():
            _refuse_lost_file(path)
            return known
        _refuse_other_names(path)
        if path.stat().st_size == 0 and not was_complete(path):
            return known
        log = has_log(path)
        if log and was_replaced(path):
            raise _left_apart(path)
        _refuse_shortened(path)
        with closing(connect_to_look(path)) as connection:
            if log and not log_fits(path, connection):
                raise _left_apart(path)
            if log and thorough and commits_behind(beside(path, "-wal"), beside(path, "-shm")) > 1:
                raise damaged(beside(path, "-wal"), "what was written last can't be read")
            found = pending_of(connection, path, known)
            if (thorough and whole) or found:
                problem = problem_in(connection, closer(check, log=log))
                if problem is not None:
                    raise damaged(path, problem)
            return found


def closer(check: Check, *, log: bool) -> Check:
    """A killed server leaves its log. Then a closer check shows whether log and file fit together."""
    return "integrity_check" if log else check


def connect_to_look(path: Path) -> sqlite3.Connection:
    """A connection that only reads, and neither makes files nor writes the log back when it is closed.

    Only if a transaction was cut off before there was a log, by a power failure at the first start, does it first bring
    back the file as it was before that, as every connection does.
    """
    # A connection to a file in WAL mode makes files beside it. Without a log nobody has the file open, so it can be
    # read as immutable, which makes none.
    mode = "mode=ro" if has_log(path) else "mode=ro&immutable=1"
    if _has_journal(path):
        mode = "mode=rw"
    return sqlite3.connect(uri(path, mode), uri=True, isolation_level=None, timeout=LOCK_SECONDS)


def _has_journal(path: Path) -> bool:
    journal = beside(path, "-journal")
    return journal.exists() and journal.stat().st_size > 0


def pending_of(connection: sqlite3.Connection, path: Path, known: Sequence[Migration]) -> list[Migration]:
    """The migrations that an open file needs. Raises StoreRefused if it is no store, or newer than this program."""
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    if application_id == 0 and version == 0 and not tables and path.stat().st_size > 0:
        return list(known)
    if path.stat().st_size == 0:
        raise damaged(path, "the file is empty")
    if application_id != APPLICATION_ID:
        raise StoreRefused(f"{path} is a database of another program; choose another path")
    if "schema_migrations" not in tables:
        raise damaged(path, "its tables are gone")
    applied = _applied(connection)
    if version > max(known[-1].version, *(row.version for row in applied)):
        raise newer(str(path), version, known[-1].version)
    return pending(known, applied, str(path))


def _applied(connection: sqlite3.Connection) -> list[Applied]:
    has_needs = connection.execute(
        "SELECT 1 FROM pragma_table_info('schema_migrations') WHERE name = 'needs'"
    ).fetchone()
    columns = "version, name, sha256, needs" if has_needs else "version, name, sha256"
    rows = connection.execute(f"SELECT {columns} FROM schema_migrations ORDER BY version")  # noqa: S608 - our names
    return [Applied(*row) for row in rows]


def _left_apart(path: Path) -> StoreRefused:
    return StoreRefused(
        f"{path} and {beside(path, '-wal').name} were not left together; if you have restored the one, move "
        "the other away; if another program has them open, close it there"
    )


def _refuse_other_names(path: Path) -> None:
    """Refuse a file with two names: SQLite finds the log by the name, so there would be two logs for one file."""
    if not path.is_file():
        return
    if not was_complete(path) and (path.stat().st_nlink > 1 or _is_mounted_alone(path)):
        raise StoreRefused(
            f"{path} has another name too: it is a hard link, or mounted by itself; use the name it was made under, "
            "or remove that one; mount the whole folder"
        )
    if not beside(path, "-shm").exists() and _is_open(path):
        raise StoreRefused(
            f"{path} is open under another name, perhaps that which it had before, "
            "or a program has it for itself; stop that one"
        )


def _is_mounted_alone(path: Path) -> bool:
    """Whether the file itself is a mount point, as in containers. Only Linux has such mounts."""
    with suppress(OSError):
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
        return str(path).replace(" ", "\\040") in (line.split(" ")[4] for line in mounts.splitlines())
    return False


def _is_open(path: Path) -> bool:
    """Whether another process has the file open: then SQLite holds a lock in it.

    This check would release such a lock of this process. It has none yet, since a connection would have made a -shm.
    """
    try:
        file = path.open("r+b")
    except PermissionError:
        # A file without write permission is refused elsewhere.
        return False
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, *_SHARED_RANGE)
        except (BlockingIOError, PermissionError):
            return True
    return False


def _refuse_lost_file(path: Path) -> None:
    if was_complete(path) or has_log(path):
        files = (beside(path, ending) for ending in (".key", "-wal", "-shm", ".write-lock"))
        left = ", ".join(file.name for file in files if file.exists())
        raise StoreRefused(
            f"{path} is gone, but what belongs to it is here ({left}); bring the file back or restore a backup, "
            "or for a new and empty store move these away first"
        )


def _refuse_shortened(path: Path) -> None:
    if _has_journal(path):
        # SQLite first restores pages from the journal.
        return
    missing = missing_pages(path, beside(path, "-wal"))
    if missing:
        raise damaged(path, f"pages that are missing: {missing}")
