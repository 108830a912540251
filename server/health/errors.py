"""Why a server is not ready: a `reason` for programs and a sentence for people, without any name or address."""

from __future__ import annotations

from server.core.errors import StoreUnavailable, TryLater
from server.database.failure import DAMAGED
from server.files.file_lock import LOCKED

# The sentences of `detail`, by the `reason` that stands beside it.
DETAILS = {
    "store_full": "The disk of the store is full or takes no writes. Make room.",
    "store_read_only": "The store can only be read. A login has to be written.",
    "store_locked": "Another process holds a lock on the store.",
    "store_slow": "The store did not take a write in time: it is away or busy, or somebody holds a lock.",
    "store_damaged": "The store can't be read: its disk fails, or a file is damaged. The log says more.",
    "store_away": "The store can't be reached.",
    "store_changed": "A table that a login writes to is missing, or the right to write to it is.",
    "no_signing_key": "There is no key that tokens can be signed with. The log says why.",
    "check_failed": "Readiness could not be checked. The log says why.",
}
# By SQLSTATE (PostgreSQL, appendix A) and by the names of SQLite's result codes, of which the first part is the kind.
_BY_SQLSTATE = {
    "53100": "store_full",
    "25006": "store_read_only",
    "55P03": "store_locked",
    "57014": "store_slow",
    "42P01": "store_changed",
    "42501": "store_changed",
    "3F000": "store_changed",
}
_BY_SQLITE_CODE = {
    "SQLITE_FULL": "store_full",
    "SQLITE_IOERR": "store_full",
    "SQLITE_READONLY": "store_read_only",
    "SQLITE_BUSY": "store_locked",
    "SQLITE_LOCKED": "store_locked",
    "SQLITE_CORRUPT": "store_damaged",
    "SQLITE_NOTADB": "store_damaged",
}
# Of the kind SQLITE_IOERR, which otherwise are failed writes.
_FAILED_READS = {"SQLITE_IOERR_READ", "SQLITE_IOERR_SHORT_READ", "SQLITE_IOERR_CORRUPTFS", "SQLITE_IOERR_DATA"}


class NotReady(StoreUnavailable):
    """No login could succeed. Member: `reason`, one of DETAILS, or what the store says of itself."""

    def __init__(self, reason: str, detail: str | None = None) -> None:
        super().__init__()
        self.detail = detail or DETAILS[reason]
        self.members = {"reason": reason}


class Draining(TryLater):
    """The server is ending: it finishes what is under way. Member: `reason`."""

    code = "draining"
    title = "Shutting down"
    default_detail = "This server is shutting down. Send requests to another one."

    def __init__(self) -> None:
        super().__init__()
        self.members = {"reason": "draining"}


def not_ready(failure: StoreUnavailable) -> NotReady:
    """The answer for a write that failed. A failure that has a `reason` for the public keeps it, with its detail."""
    told = failure.members.get("reason")
    return NotReady(str(told), failure.detail) if told else NotReady(_reason_of(failure))


def _reason_of(failure: StoreUnavailable) -> str:
    if failure.reason == LOCKED:
        return "store_locked"
    if failure.reason == DAMAGED:
        return "store_damaged"
    cause = failure.__cause__
    by_state = _BY_SQLSTATE.get(str(getattr(cause, "sqlstate", "")))
    name = str(getattr(cause, "sqlite_errorname", ""))
    by_code = _BY_SQLITE_CODE.get("_".join(name.split("_")[:2]))
    if name in _FAILED_READS:
        by_code = "store_damaged"
    return by_state or by_code or ("store_slow" if isinstance(cause, TimeoutError) else "store_away")
