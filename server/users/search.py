"""Lists users with filters, in pages by id. It is fast even with a million users.

A text is searched in three steps. The time of each hardly depends on the number of users:

1. Look at the next users by id. If many users match, the page is full here.
2. Use the index of grams (pieces of one to three characters), if at most `MANY` users match.
3. If more match, look at users in the order of ids. Matching users are close together, so the page is soon full.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server.core.text import storable
from server.database.driver import Dialect, Driver, Row
from server.users.model import User, UserFilter
from server.users.names import search_form
from server.users.rows import USER, user_of

# The number of users in step 1. Looking at them costs about as much as the index.
NEAR = 1000
# At most so many users are sorted in memory.
MANY = 2000
NO_LIMIT = 2**62
# Longer texts are found by their first grams; the whole text is compared afterwards.
GRAMS = 24
# The SQL after FROM: the users whose `search_text` has all grams of a parameter.
_WITH_GRAMS: dict[Dialect, str] = {
    # With the full-text index. CROSS JOIN makes SQLite read the index first, and only as far as needed.
    "sqlite": "user_grams CROSS JOIN users ON number = user_grams.rowid WHERE user_grams MATCH {}",
    # With the index of arrays.
    "postgres": "users WHERE grams(search_text) @> {}::text[]",
}


class UserSearch:
    """Finds users."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def find(self, wanted: UserFilter) -> list[User]:
        """At most `limit` users that match, in the order of their ids."""
        if any(storable(text) != text for text in (wanted.after_id, wanted.text, wanted.role)):
            # No user has such a text, and PostgreSQL would refuse it.
            return []
        if wanted.text is not None:
            return await self._with_text(wanted, search_form(wanted.text))
        query = _Query(wanted)
        return [user_of(row) for row in await self._driver.read(query.all(), *query.values)]

    async def _with_text(self, wanted: UserFilter, text: str) -> list[User]:
        query = _Query(wanted, text)
        seen, found = _counted(await self._driver.read(query.near(NEAR), *query.values))
        if seen < NEAR or len(found) == wanted.limit:
            return found
        value = _grams_value(self._driver.dialect, grams(text))
        count, found = _counted(await self._driver.read(query.few(self._driver, MANY + 1), *query.values, value))
        if count <= MANY:
            return found
        return [user_of(row) for row in await self._driver.read(query.one_by_one(), *query.values)]


def _counted(rows: Sequence[Row]) -> tuple[int, list[User]]:
    """How many users were looked at, and the matching ones. If none matches, there is one row without a user."""
    return rows[0]["count"], [user_of(row) for row in rows if row["id"] is not None]


def grams(text: str) -> list[str]:
    """The grams of a text: its pieces of three characters, or the text itself if it is shorter."""
    size = min(3, len(text))
    found = dict.fromkeys(text[start : start + size] for start in range(len(text) + 1 - size))
    return list(found)[:GRAMS]


def _grams_value(dialect: Dialect, found: Sequence[str]) -> Any:
    """The parameter of `_WITH_GRAMS`: an array for PostgreSQL, for SQLite all grams as words in hexadecimal."""
    return found if dialect == "postgres" else " ".join(gram.encode().hex() for gram in found)


class _Query:
    """The SQL of one list. It has only the conditions of the filter, so each can use its index."""

    def __init__(self, wanted: UserFilter, text: str | None = None) -> None:
        """`text` has to be in the normal form of `search_text`."""
        self.values: list[Any] = []
        self._limit = self._place(wanted.limit)
        self._conditions: list[str] = []
        if wanted.after_id is not None:
            self._conditions.append(f"id > {self._place(wanted.after_id)}")
        if wanted.role is not None:
            self._conditions.append(f"role = {self._place(wanted.role)}")
        if wanted.disabled is not None:
            self._conditions.append("disabled_at IS NOT NULL" if wanted.disabled else "disabled_at IS NULL")
        self._text: list[str] = []
        if text is not None:
            literal = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            self._text.append(f"search_text LIKE {self._place(f'%{literal}%')} ESCAPE '\\'")

    def all(self) -> str:
        """All users that match the filter without its text."""
        return f"SELECT {USER} FROM users {_where(self._conditions)} ORDER BY id LIMIT {self._limit}"

    def one_by_one(self) -> str:
        """All users that match, found in the order of ids until there are enough.

        The inner LIMIT keeps PostgreSQL from merging the queries: it assumes that few users have the text, and would
        look at all users and sort them.
        """
        in_order = f"SELECT {USER}, search_text FROM users {_where(self._conditions)} ORDER BY id LIMIT {NO_LIMIT}"
        return f"SELECT {USER} FROM ({in_order}) AS looked_at {_where(self._text)} LIMIT {self._limit}"

    def near(self, count: int) -> str:
        """The users with the text among the next `count` users that match the other conditions."""
        looked_at = f"SELECT {USER}, search_text FROM users {_where(self._conditions)} ORDER BY id LIMIT {count}"
        return self._of(looked_at, self._text)

    def few(self, driver: Driver, count: int) -> str:
        """The users that match the other conditions among the first `count` with the text. Grams are the last value."""
        with_grams = _WITH_GRAMS[driver.dialect].format(f"${len(self.values) + 1}")
        having_text = f"{with_grams} AND {self._text[0]}"
        return self._of(f"SELECT {USER} FROM {having_text} LIMIT {count}", self._conditions)

    def _of(self, looked_at: str, conditions: list[str]) -> str:
        found = f"SELECT {USER} FROM looked_at {_where(conditions)} ORDER BY id LIMIT {self._limit}"
        return (
            f"WITH looked_at AS MATERIALIZED ({looked_at}) SELECT found.*, counted.count "
            "FROM (SELECT COUNT(*) AS count FROM looked_at) AS counted "
            f"LEFT JOIN ({found}) AS found ON TRUE ORDER BY id"
        )

    def _place(self, value: Any) -> str:
        self.values.append(value)
        return f"${len(self.values)}"


def _where(conditions: list[str]) -> str:
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""
