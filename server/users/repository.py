"""The SQL of accounts, once for both databases.

What takes a Transaction is part of a unit, which service.py, passwords.py and transfer/importer.py compose.
"""

from __future__ import annotations

from collections.abc import Sequence

from server.database.driver import Driver, Transaction
from server.database.inserting import batches, insert_into
from server.emails.address import address_key
from server.emails.repository import EmailRepository
from server.users.lookups import UserLookups
from server.users.model import Credentials, User
from server.users.names import username_key
from server.users.rows import (
    CREDENTIALS,
    INSERTED,
    UNCONFIRMED,
    UPDATED,
    USER,
    credentials_of,
    inserted_values,
    key_of,
    names_of,
    search_text,
    updated_values,
    user_of,
)
from server.users.search import UserSearch

_PLACE = {column: f"${number}" for number, column in enumerate(UPDATED, 1)}
# The time of the last change of the role always rises, even if the clock stood still or went back.
_UPDATE = (
    f"UPDATE users SET {', '.join(f'{column} = {_PLACE[column]}' for column in UPDATED if column != 'id')}, "
    f"role_changed_at = CASE WHEN role = {_PLACE['role']} THEN role_changed_at "
    f"WHEN role_changed_at < {_PLACE['updated_at']} THEN {_PLACE['updated_at']} ELSE role_changed_at + 1 END "
    f"WHERE id = {_PLACE['id']} RETURNING role_changed_at"
)
# Who has that address.
_VERIFIED = "(SELECT user_id FROM emails WHERE email_key = $2 AND verified_at IS NOT NULL)"


class UserRepository:
    """Reads and writes accounts.

    An id or a name with control characters matches nobody: then the database is not asked.
    """

    def __init__(self, driver: Driver, emails: EmailRepository) -> None:
        self._driver = driver
        self._emails = emails
        self._lookups = UserLookups(self._fetch_users)
        # The list of users, filtered (search.py).
        self.list_users = UserSearch(driver).find
        self._users_by_id = f"SELECT {USER} FROM users WHERE {driver.in_list('id')}"

    async def get_user(self, user_id: str) -> User | None:
        """The user of that id. Calls at the same moment share a query (lookups.py)."""
        # PostgreSQL would refuse the query of all calls for one id that it can't store.
        if not user_id.isprintable():
            return None
        return await self._lookups.get(user_id)

    async def _fetch_users(self, user_ids: list[str]) -> dict[str, User]:
        rows = await self._driver.read(self._users_by_id, self._driver.list_value(user_ids))
        return {user.id: user for user in map(user_of, rows)}

    async def find_credentials(self, name: str) -> Credentials | None:
        """Find credentials by username or verified address. What can be neither is not found, without a query."""
        key = username_key(name)
        address = address_key(name if key is None else key)
        if address is None:
            return None if key is None else await self._credentials("username_key = $1", key)
        # No username is empty. The username comes first, if an older program has given another spelling of an address.
        condition = f"username_key = $1 OR id = {_VERIFIED} ORDER BY (username_key = $1) DESC"
        return await self._credentials(condition, key or "", address)

    async def get_credentials(self, user_id: str) -> Credentials | None:
        """Find credentials by user id."""
        return await self._credentials("id = $1", user_id)

    async def _credentials(self, condition: str, *values: str) -> Credentials | None:
        if not all(value.isprintable() for value in values):
            return None
        rows = await self._driver.read(f"SELECT {CREDENTIALS} FROM users WHERE {condition}", *values)
        return credentials_of(rows[0]) if rows else None

    async def list_credentials(
        self, limit: int, after_id: str = "", *, confirmed_only: bool = False
    ) -> list[Credentials]:
        """A page of credentials in the order of ids, after `after_id`. No id is empty, so "" means the first page.

        `confirmed_only` leaves out those who have registered and never confirmed their address.
        """
        condition = f"AND NOT {UNCONFIRMED} " if confirmed_only else ""
        sql = f"SELECT {CREDENTIALS} FROM users WHERE id > $1 {condition}ORDER BY id LIMIT $2"
        return [credentials_of(row) for row in await self._driver.read(sql, after_id, limit)]

    async def count_by_role(self) -> dict[str, int]:
        """How many users have each role. It reads an index and not the table."""
        rows = await self._driver.read("SELECT role, COUNT(*) AS count FROM users GROUP BY role")
        return {row["role"]: row["count"] for row in rows}

    async def count_disabled(self) -> int:
        """How many users are disabled."""
        rows = await self._driver.read("SELECT COUNT(*) AS count FROM users WHERE disabled_at IS NOT NULL")
        count: int = rows[0]["count"]
        return count

    async def find_holders(self, accounts: Sequence[Credentials]) -> list[User | None]:
        """For each account, the existing user who keeps it from being made; None if there is none.

        That is the one with its username, or else with its id, or else who signs in by a name that would be its own.
        """
        if not accounts:
            return []
        names = [names_of(new) for new in accounts]
        by_email = await self._emails.holders(key for keys in names for key in keys if "@" in key)
        by_id = await self._find("id", [*(new.user.id for new in accounts), *by_email.values()])
        by_name = {key: by_id.get(user_id) for key, user_id in by_email.items()}
        by_name |= await self._find("username_key", sorted(set.union(*names)))
        return [
            by_name.get(key_of(new.user.username))
            or by_id.get(new.user.id)
            or next((user for key in sorted(keys) if (user := by_name.get(key))), None)
            for new, keys in zip(accounts, names, strict=True)
        ]

    async def _find(self, column: str, values: Sequence[str]) -> dict[str, User]:
        sql = f"SELECT {USER}, username_key FROM users WHERE {self._driver.in_list(column)}"
        rows = await self._driver.read(sql, self._driver.list_value(values))
        return {row[column]: user_of(row) for row in rows}

    async def renew_password_hash(self, user_id: str, old_hash: str, new_hash: str) -> bool:
        """Replace the hash of the same password, so `password_changed_at` stays. False if the hash has changed."""
        sql = "UPDATE users SET password_hash = $1 WHERE id = $2 AND password_hash = $3 RETURNING id"
        return bool(await self._driver.write_one(sql, new_hash, user_id, old_hash))

    async def has_any(self, transaction: Transaction) -> bool:
        """Whether there is a user."""
        return bool(await transaction.run("SELECT 1 FROM users LIMIT 1"))

    async def has_name(self, transaction: Transaction, username: str) -> bool:
        """Whether somebody signs in with this username, or has verified it as an address."""
        key = key_of(username)
        sql = (
            "SELECT 1 FROM users WHERE username_key = $1 UNION ALL "
            "SELECT 1 FROM emails WHERE email_key = $1 AND verified_at IS NOT NULL UNION ALL "
            "SELECT 1 FROM emails WHERE name_key = $1 AND verified_at IS NOT NULL LIMIT 1"
        )
        return bool(await transaction.run(sql, key))

    async def lock(self, transaction: Transaction, user_id: str) -> User | None:
        """The user, whose row nobody else changes until the unit ends."""
        sql = f"UPDATE users SET updated_at = updated_at WHERE id = $1 RETURNING {USER}"
        return next(map(user_of, await transaction.run(sql, user_id)), None)

    async def has_other(self, transaction: Transaction, user_id: str, roles: Sequence[str]) -> bool:
        """Whether there is another enabled user with one of these roles, who can sign in."""
        places = ", ".join(f"${number}" for number in range(2, len(roles) + 2))
        sql = (
            f"SELECT 1 FROM users WHERE id <> $1 AND disabled_at IS NULL AND role IN ({places}) "
            f"AND NOT {UNCONFIRMED} LIMIT 1"
        )
        return bool(await transaction.run(sql, user_id, *roles))

    async def insert(self, transaction: Transaction, accounts: Sequence[Credentials]) -> set[str]:
        """Insert accounts with their addresses. Returns the ids of those whose id and names were free.

        Unique indexes decide, and for names that look like addresses the lock of server/emails/repository.py.
        """
        made: set[str] = set()
        # Always in the same order, so two imports never wait for each other's rows.
        accounts = sorted(await self._with_free_emails(transaction, accounts), key=lambda new: new.user.id)
        for part in batches(accounts):
            values = [value for new in part for value in inserted_values(new)]
            made.update(row["id"] for row in await transaction.run(_insert(len(part)), *values))
        await self._emails.put_primary(transaction, [new.user for new in accounts if new.user.id in made])
        return made

    async def _with_free_emails(self, transaction: Transaction, accounts: Sequence[Credentials]) -> list[Credentials]:
        """The accounts whose address is not verified, or nobody's. It takes the lock that this needs."""
        keys = {new.user.id: {key for key in names_of(new) if "@" in key} for new in accounts}
        if not any(keys.values()):
            return list(accounts)
        await self._emails.lock(transaction)
        verified = [key for new in accounts if new.user.email_verified_at is not None for key in keys[new.user.id]]
        taken = await self._emails.taken_among(transaction, verified) if verified else set()
        free, given = [], set[str]()
        for new in accounts:
            own = keys[new.user.id]
            if own.isdisjoint(given) and (new.user.email_verified_at is None or own.isdisjoint(taken)):
                given |= own
                free.append(new)
        return free

    async def update(self, transaction: Transaction, user: User) -> int:
        """Write the fields of a user that can change. Returns when the role was changed last (epoch ms).

        Whoever has verified the primary address has nothing to confirm before the first sign-in any more.
        """
        rows = await transaction.run(_UPDATE, *updated_values(user))
        if user.email_verified_at is not None:
            await transaction.run("DELETE FROM unconfirmed_users WHERE user_id = $1", user.id)
        role_changed_at: int = rows[0]["role_changed_at"]
        return role_changed_at

    async def rename(self, transaction: Transaction, user: User) -> bool:
        """Write the username of a user, and `updated_at`. False if another user has it."""
        sql = (
            "UPDATE users SET username = $1, username_key = $2, search_text = $3, updated_at = $4 WHERE id = $5 "
            "AND NOT EXISTS (SELECT 1 FROM users AS other WHERE other.username_key = $2 AND other.id <> $5) "
            "RETURNING id"
        )
        values = (user.username, key_of(user.username), search_text(user), user.updated_at, user.id)
        return bool(await transaction.run(sql, *values))

    async def delete(self, transaction: Transaction, user_id: str) -> None:
        """Delete a user and the user's sessions."""
        await transaction.run("DELETE FROM users WHERE id = $1", user_id)

    async def set_password_hash(
        self, transaction: Transaction, old: Credentials, password_hash: str, changed_at: int, now: int
    ) -> str | None:
        """Set a password hash. Returns the username; None if the password was changed since `old` was read."""
        sql = (
            "UPDATE users SET password_hash = $1, password_changed_at = $2, updated_at = $3 "
            "WHERE id = $4 AND password_changed_at = $5 RETURNING username"
        )
        values = (password_hash, changed_at, now, old.user.id, old.password_changed_at)
        return next((row["username"] for row in await transaction.run(sql, *values)), None)


def _insert(count: int) -> str:
    """The INSERT of so many rows. It returns no row whose name or id is taken."""
    return f"{insert_into('users', INSERTED, count)} ON CONFLICT DO NOTHING RETURNING id"
