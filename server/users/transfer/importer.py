"""Imports accounts: converts records to accounts, inserts them, and gives a reason for each refused one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass

from server.audit.repository import AuditRepository
from server.authentication.throttling import Throttle
from server.core.clock import Clock
from server.core.ids import id_tail
from server.database.driver import Driver, Transaction
from server.emails.address import throttle_name
from server.users.audit_notes import users_imported
from server.users.model import Credentials, User
from server.users.repository import UserRepository
from server.users.rows import key_of, names_of
from server.users.transfer.lines import Record
from server.users.transfer.row import ImportedAccount, RowRefused, read_row
from server.users.transfer.seen import Seen
from watchword_client.access import Roles

# The accounts of one transaction. A server on the same SQLite file waits 30 to 50 ms for it.
BATCH = 500
SHOWN_CHARACTERS = 128
_NOBODY = "an import changes nobody"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a record was refused. `username` is the beginning of the username in the file, or None if it is not text.

    `user` is the same as in Record.
    """

    line: int
    username: str | None
    reason: str
    user: int | None = None


@dataclass(slots=True)
class ImportCounts:
    """The counts of records by their result."""

    imported: int = 0
    already_there: int = 0
    refused: int = 0


class Importer:
    """One import of one file. `role` is for records that name none. With `dry_run` nothing changes."""

    def __init__(
        self,
        *,
        driver: Driver,
        users: UserRepository,
        audit: AuditRepository,
        throttle: Throttle,
        roles: Roles,
        clock: Clock,
        role: str | None,
        dry_run: bool,
        refuse: Callable[[Refusal], None],
        advance: Callable[[], None],
    ) -> None:
        self._driver = driver
        self._users = users
        self._audit = audit
        self._throttle = throttle
        self._roles = roles
        self._clock = clock
        self._role = role
        self._dry_run = dry_run
        self._refuse = refuse
        self._advance = advance
        self.counts = ImportCounts()

    async def run(self, records: Iterable[Record]) -> None:
        """Import records. Calls `refuse` for a refused one, and `advance` after a batch. Raises StoreUnavailable."""
        batch: list[tuple[Record, ImportedAccount]] = []
        with closing(Seen()) as seen:
            for record in records:
                try:
                    batch.append((record, self._row(record, seen)))
                except RowRefused as refused:
                    self._refused(record, str(refused))
                if len(batch) == BATCH:
                    await self._write(batch)
                    batch = []
            await self._write(batch)

    def _row(self, record: Record, seen: Seen) -> ImportedAccount:
        if record.problem is not None:
            raise RowRefused(record.problem)
        now = self._clock.now_ms()
        row = read_row(record.fields, roles=self._roles, role=self._role, now=now)
        keys = [*(f"name {name}" for name in sorted(names_of(row.credentials))), f"id {row.credentials.user.id}"]
        kind, place = ("line", record.line) if record.user is None else ("user", record.user)
        earlier = seen.earlier_place(keys)
        if earlier is not None:
            raise RowRefused(f"{kind} {earlier} has this username, address or id already")
        seen.add(keys, place)
        return row

    async def _write(self, batch: list[tuple[Record, ImportedAccount]]) -> None:
        credentials = [row.credentials for _, row in batch]
        if self._dry_run:
            holders = await self._users.find_holders(credentials)
        else:
            holders = await self.insert(credentials)
            made = [new.user.username for new, holder in zip(credentials, holders, strict=True) if holder is None]
            if made:
                await self._throttle.clear(*map(throttle_name, made))
        for (record, row), holder in zip(batch, holders, strict=True):
            if holder is None:
                self.counts.imported += 1
                continue
            problem = _difference(row, holder)
            if problem is None:
                self.counts.already_there += 1
            else:
                self._refused(record, problem)
        self._advance()

    async def insert(self, accounts: Sequence[Credentials]) -> list[User | None]:
        """Insert accounts whose name and id are free. Returns None for each, else the user who has them.

        If the other account is deleted before it is looked up, the insert is tried again.
        """
        now = self._clock.now_ms()
        audit = self._audit.writer()

        async def unit(transaction: Transaction) -> set[str]:
            made = await self._users.insert(transaction, waiting)
            if made:
                await audit.write(transaction, users_imported(made, now))
            return made

        holders: dict[str, User | None] = {}
        waiting = list(accounts)
        while waiting:
            made = await self._driver.write(unit)
            holders |= dict.fromkeys(made)
            refused = [new for new in waiting if new.user.id not in made]
            waiting = []
            for new, holder in zip(refused, await self._users.find_holders(refused), strict=True):
                if holder is None:
                    waiting.append(new)
                else:
                    holders[new.user.id] = holder
        return [holders[new.user.id] for new in accounts]

    def _refused(self, record: Record, reason: str) -> None:
        self.counts.refused += 1
        username = record.fields.get("username")
        shown = username if isinstance(username, str) else None
        if shown is not None and len(shown) > SHOWN_CHARACTERS:
            shown = shown[:SHOWN_CHARACTERS] + "…"
        self._refuse(Refusal(record.line, shown, reason, record.user))


def _difference(row: ImportedAccount, holder: User) -> str | None:
    """How the account that has a name or the id differs from the row; None if it is the same account.

    The hash and the times don't count, because logins change them.
    """
    user = row.credentials.user
    same_name = key_of(user.username) == key_of(holder.username)
    if row.derived and same_name and id_tail(user.id) == id_tail(holder.id):
        return None
    pairs = {
        "username": (user.username, holder.username),
        "name": (user.name, holder.name),
        "email": (user.email, holder.email),
        "email_verified": (user.email_verified_at is not None, holder.email_verified_at is not None),
        "role": (user.role, holder.role),
        "disabled": (user.disabled, holder.disabled),
        "created_at": (user.created_at if row.dated else holder.created_at, holder.created_at),
    }
    different = ", ".join(column for column, (given, there) in pairs.items() if given != there)
    if user.id == holder.id:
        return f"the id is there already, with another {different}; {_NOBODY}" if different else None
    if not same_name:
        return f"the username or the address belongs to another account; {_NOBODY}"
    if not row.derived:
        return f"the username is taken by an account with another id; {_NOBODY}"
    found = f"with another {different}" if different else "but from other data, such as another password_hash"
    return f"is there already, {found}; {_NOBODY}"
