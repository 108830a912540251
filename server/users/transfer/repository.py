"""The queries for moving accounts in and out, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server.audit.model import AuditEvent, AuditNote, Value
from server.audit.repository import AuditRepository
from server.database.driver import Driver, Row, Transaction
from server.users.model import Credentials, User
from server.users.rows import USER, key_of, search_text

_COLUMNS = (
    "id, username, username_key, name, search_text, role, password_hash, password_changed_at, disabled_at, created_at, "
    "updated_at, last_login_at"
)
_COLUMN_COUNT = 12
# More in a statement would be fewer round trips, but SQLite looks up each placeholder among all before it.
_ROWS_IN_A_STATEMENT = 50


class TransferRepository:
    """The SQL of moving accounts in and out."""

    def __init__(self, driver: Driver, audit: AuditRepository) -> None:
        self._driver = driver
        self._audit = audit

    async def list_credentials(self, limit: int, after_id: str = "") -> list[Credentials]:
        """No id is empty, so the first page needs no statement of its own."""
        sql = f"SELECT {USER}, password_hash, password_changed_at FROM users WHERE id > $1 ORDER BY id LIMIT $2"
        return [Credentials(User(*row[:-2]), row[-2], row[-1]) for row in await self._driver.read(sql, after_id, limit)]

    async def insert_users(self, users: Sequence[Credentials], now: int) -> list[User | None]:
        """Who was in the way may be gone when it is looked up: then once more."""
        audit = self._audit.writer()

        async def unit(transaction: Transaction) -> set[str]:
            made = await _insert(transaction, waiting)
            if made:
                after: dict[str, Value] = {"users": len(made), "user_ids": sorted(made)}
                await audit.write(transaction, AuditNote(AuditEvent.USERS_IMPORTED, now, after=after))
            return made

        holders: dict[str, User | None] = {}
        waiting = list(users)
        while waiting:
            made = await self._driver.write(unit)
            holders |= dict.fromkeys(made)
            refused = [new for new in waiting if new.user.id not in made]
            waiting = []
            for new, holder in zip(refused, await self.find_holders(refused), strict=True):
                if holder is None:
                    waiting.append(new)
                else:
                    holders[new.user.id] = holder
        return [holders[new.user.id] for new in users]

    async def find_holders(self, users: Sequence[Credentials]) -> list[User | None]:
        """By the two unique columns."""
        if not users:
            return []
        by_id = {row[0]: row for row in await self._find("id", [new.user.id for new in users])}
        keys = [key_of(new.user.username) for new in users]
        by_key = {row[-1]: row for row in await self._find("username_key", keys)}
        rows = [by_key.get(key) or by_id.get(new.user.id) for key, new in zip(keys, users, strict=True)]
        return [None if row is None else User(*row[:-1]) for row in rows]

    async def _find(self, column: str, values: Sequence[str]) -> Sequence[Row]:
        sql = f"SELECT {USER}, username_key FROM users WHERE {self._driver.in_list(column)}"
        return await self._driver.read(sql, self._driver.list_value(values))


async def _insert(transaction: Transaction, users: Sequence[Credentials]) -> set[str]:
    """The ids of those whose id and name were free."""
    made: set[str] = set()
    # Always in one order, so no two imports wait for each other's rows.
    users = sorted(users, key=lambda new: new.user.id)
    for start in range(0, len(users), _ROWS_IN_A_STATEMENT):
        part = users[start : start + _ROWS_IN_A_STATEMENT]
        rows = ", ".join(
            "(" + ", ".join(f"${row * _COLUMN_COUNT + column}" for column in range(1, _COLUMN_COUNT + 1)) + ")"
            for row in range(len(part))
        )
        sql = f"INSERT INTO users ({_COLUMNS}) VALUES {rows} ON CONFLICT DO NOTHING RETURNING id"
        values = [value for new in part for value in _values(new)]
        made.update(row[0] for row in await transaction.run(sql, *values))
    return made


def _values(new: Credentials) -> tuple[Any, ...]:
    user = new.user
    return (
        user.id,
        user.username,
        key_of(user.username),
        user.name,
        search_text(user.username, user.name),
        user.role,
        new.password_hash,
        new.password_changed_at,
        user.disabled_at,
        user.created_at,
        user.updated_at,
        user.last_login_at,
    )
