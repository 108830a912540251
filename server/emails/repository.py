"""The SQL of addresses, once for both databases.

A verified address is a name to sign in with. So across users it equals no other verified address, which a unique index
decides, and no username. The latter is kept from both sides by whoever writes: a trigger on users passes over a
username that is somebody's verified address, and what verifies an address here looks at the usernames. Whoever does one
of the two holds the lock of `lock` until the end of the transaction; the trigger takes it too. A transaction takes it
after the row of a user, and before it writes a username or an address.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from server.core.ids import derived_id
from server.database.driver import Driver, Row, Transaction
from server.database.inserting import batches, insert_into
from server.emails.address import AddressKeys, address_key, address_keys
from server.emails.model import Email, EmailHolder
from server.users.model import User

_EMAILS_OF = (
    "SELECT emails.id, emails.user_id, emails.email, emails.verified_at, emails.created_at, "
    "COALESCE(emails.email = users.email, FALSE) AS is_primary "
    "FROM emails JOIN users ON users.id = emails.user_id WHERE emails.user_id = $1 ORDER BY emails.id"
)
_INSERTED = ("id", "user_id", "email", "email_key", "name_key", "verified_at", "created_at")


class EmailRepository:
    """Reads and writes addresses. What takes a Transaction is part of a unit, which services compose."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def list_emails(self, user_id: str) -> list[Email]:
        """The addresses of a user, the oldest first."""
        return list(map(_email_of, await self._driver.read(_EMAILS_OF, user_id)))

    async def lock(self, transaction: Transaction) -> None:
        """Keep other transactions from verifying addresses, and from giving usernames that look like one."""
        await transaction.lock("emails")

    async def emails_of(self, transaction: Transaction, user_id: str) -> list[Email]:
        """The same as `list_emails`, inside a transaction."""
        return list(map(_email_of, await transaction.run(_EMAILS_OF, user_id)))

    async def put(self, transaction: Transaction, user_id: str, email: str, verified_at: int | None, now: int) -> bool:
        """Give a user an address, or change the one with the same key. False if it is verified and another user's.

        Needs `lock` if it is verified.
        """
        keys = address_keys(email)
        if verified_at is not None and await self.taken(transaction, keys, user_id):
            return False
        await transaction.run(_insert(1), *_values(user_id, email, keys, verified_at, now))
        return True

    async def put_primary(self, transaction: Transaction, users: Sequence[User]) -> None:
        """Give new users their addresses, which are free. Needs `lock` if one is verified."""
        having = [(user, user.email) for user in users if user.email is not None]
        for part in batches(having):
            values = [
                value
                for user, email in part
                for value in _values(user.id, email, address_keys(email), user.email_verified_at, user.created_at)
            ]
            await transaction.run(_insert(len(part)), *values)

    async def taken(self, transaction: Transaction, keys: AddressKeys, user_id: str) -> bool:
        """Whether somebody else has the address verified, or as the username. Needs `lock`."""
        return await self.holder(transaction, keys, user_id) is not None

    async def holder(self, transaction: Transaction, keys: AddressKeys, user_id: str) -> EmailHolder | None:
        """Who else has the address verified, or as the username. Without `lock` this may change at once."""
        sql = (
            "SELECT user_id, email FROM emails WHERE email_key = $1 AND verified_at IS NOT NULL AND user_id <> $3 "
            "UNION ALL SELECT id, NULL FROM users WHERE username_key IN ($1, $2) AND id <> $3 LIMIT 1"
        )
        rows = await transaction.run(sql, *keys, user_id)
        return EmailHolder(**rows[0]) if rows else None

    async def replace_primary(self, transaction: Transaction, before: User, after: User) -> bool:
        """Write the primary address that a user has after a change, and delete the one before.

        False if it is verified and another user's. Needs `lock`.
        """
        key = None if after.email is None else address_key(after.email)
        # The same address, spelled otherwise, stays.
        sql = "DELETE FROM emails WHERE user_id = $1 AND email = $2 AND email_key <> $3"
        await transaction.run(sql, before.id, before.email, key or "")
        if after.email is None:
            return True
        return await self.put(transaction, after.id, after.email, after.email_verified_at, after.updated_at)

    async def remove(self, transaction: Transaction, email_id: str) -> None:
        """Delete an address."""
        await transaction.run("DELETE FROM emails WHERE id = $1", email_id)

    async def holders(self, keys: Iterable[str]) -> dict[str, str]:
        """Who has which of these keys of addresses verified: the id of the user by the key."""
        wanted = self._driver.list_value(sorted(set(keys)))
        found: dict[str, str] = {}
        for column in ("email_key", "name_key"):
            sql = (
                f"SELECT {column} AS key, user_id FROM emails "
                f"WHERE verified_at IS NOT NULL AND {self._driver.in_list(column)}"
            )
            found |= {row["key"]: row["user_id"] for row in await self._driver.read(sql, wanted)}
        return found

    async def taken_among(self, transaction: Transaction, keys: Iterable[str]) -> set[str]:
        """Those of these keys of addresses by which somebody signs in. Needs `lock`."""
        sql = (
            "SELECT email_key AS key FROM emails "
            f"WHERE verified_at IS NOT NULL AND {self._driver.in_list('email_key')} "
            f"UNION ALL SELECT username_key FROM users WHERE {self._driver.in_list('username_key')}"
        )
        rows = await transaction.run(sql, self._driver.list_value(sorted(set(keys))))
        return {row["key"] for row in rows}


def _email_of(row: Row) -> Email:
    return Email(
        row["id"], row["user_id"], row["email"], row["verified_at"], row["created_at"], bool(row["is_primary"])
    )


def _insert(count: int) -> str:
    """The INSERT of so many rows. An address that the user has already is changed."""
    return (
        f"{insert_into('emails', _INSERTED, count)} ON CONFLICT (user_id, email_key) DO UPDATE "
        "SET email = excluded.email, name_key = excluded.name_key, verified_at = excluded.verified_at"
    )


def _values(
    user_id: str, email: str, keys: AddressKeys, verified_at: int | None, now: int
) -> tuple[str | int | None, ...]:
    """The values in the order of _INSERTED. The same address of a user gets the same id at the same moment."""
    return derived_id(now, f"{user_id} {keys.email}".encode()), user_id, email, *keys, verified_at, now
