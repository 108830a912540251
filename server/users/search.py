"""Lists of users, filtered, in pages by id; quick with a million of them.

A text is looked for in three steps, each of which takes about as long whatever the number of users is:

1. Among the next users by id. A text that many have fills the page here.
2. By the index of grams (pieces of one to three characters), if not many have it.
3. In the order of ids, if more than `MANY` have it: they are not far apart, so a page is soon full.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server.core.text import storable
from server.database.driver import Dialect, Driver, Row
from server.users.model import User, UserFilter
from server.users.names import search_form
from server.users.rows import USER, user_of

# Users looked at one by one before the index is asked: that costs about as much as the index.
NEAR = 1000
# So many users are sorted in memory.
MANY = 2000
NO_LIMIT = 2**62
# Longer texts are found by their first grams; the whole text is compared afterwards.
GRAMS = 24
# What stands behind FROM, up to a condition: the users whose `search_text` has all the grams of a parameter.
_WITH_GRAMS: dict[Dialect, str] = {
    # By the full-text index. CROSS JOIN: it is read first, and no further than needed.
    "sqlite": "user_grams CROSS JOIN users ON number = user_grams.rowid WHERE user_grams MATCH {}",
    # By the index of arrays.
    "postgres": "users WHERE grams(search_text) @> {}::text[]",
}


class UserSearch:
    """The list of users on a driver."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def find(self, wanted: UserFilter) -> list[User]:
        """At most `limit` users that fit, in the order of their ids."""
        if any(storable(text) != text for text in (wanted.after_id, wanted.text, wanted.role)):
            # Nobody has such a text, and PostgreSQL would refuse it.
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
    """How many users were looked at, and those of them that fit; if none does, there is one row without a user."""
    return rows[0]["count"], [user_of(row) for row in rows if row["id"] is not None]


def grams(text: str) -> list[str]:
    """Pieces that whatever contains the text contains: of three characters, or the text itself if it is shorter."""
    size = min(3, len(text))
    found = dict.fromkeys(text[start : start + size] for start in range(len(text) + 1 - size))
    return list(found)[:GRAMS]


def _grams_value(dialect: Dialect, found: Sequence[str]) -> Any:
    """The parameter of `_WITH_GRAMS`: an array; or words in hexadecimal, all of which a row of the index must have."""
    return found if dialect == "postgres" else " ".join(gram.encode().hex() for gram in found)


class _Query:
    """The SQL of one list. Only the conditions that were asked for, so each can use its index."""

    def __init__(self, wanted: UserFilter, text: str | None = None) -> None:
        """`text` is in its form already."""
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
        """Every user that fits, whatever the text."""
        return f"SELECT {USER} FROM users {_where(self._conditions)} ORDER BY id LIMIT {self._limit}"

    def one_by_one(self) -> str:
        """Every user that fits, looked at in the order of ids until there are enough.

        The inner limit keeps it a query of its own, with its order: PostgreSQL takes it that few have the text, and
        would otherwise look at all users and sort.
        """
        in_order = f"SELECT {USER}, search_text FROM users {_where(self._conditions)} ORDER BY id LIMIT {NO_LIMIT}"
        return f"SELECT {USER} FROM ({in_order}) AS looked_at {_where(self._text)} LIMIT {self._limit}"

    def near(self, count: int) -> str:
        """Those that have the text, of the next `count` that fit otherwise."""
        looked_at = f"SELECT {USER}, search_text FROM users {_where(self._conditions)} ORDER BY id LIMIT {count}"
        return self._of(looked_at, self._text)

    def few(self, driver: Driver, count: int) -> str:
        """Those that fit otherwise, of the first `count` that have the text. Takes the grams as one more value."""
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
