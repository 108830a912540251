"""A connection to PostgreSQL, and what is set for its statements.

A direct connection has its settings for the whole session. A pooler, as PgBouncer, may give each transaction to another
session. There every transaction begins with all settings, and nothing is prepared. So no statement finds the tables of
another schema or runs without a limit, whatever the mode of the pooler is, and the settings end with the transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg

from server.core.errors import StoreRefused
from server.database.postgres.errors import understood
from server.settings.tree import StoreSettings

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
# Imports and migrations take long. Older versions do not know the setting.
_OLDEST_WITH_TRANSACTION_TIMEOUT = 17
# A database may be set so that commits do not wait for the disk. But what we acknowledge must not be lost.
_SETTLED = "SELECT set_config('synchronous_commit', 'on', {local}) WHERE current_setting('synchronous_commit') = 'off'"

_STATEMENT_MODE = "statement pooling mode"
_NO_TRANSACTIONS = (
    "the pooler is in statement mode, which has no transactions; set pool_mode = session there, or transaction with "
    "store.listen_url here"
)


def session_settings(store: StoreSettings) -> dict[str, str]:
    """What is set, since a database or a role may have other defaults."""
    limit = f"{store.statement_timeout_seconds}s"
    return {
        # Without `pg_temp` at the end, a temporary table of somebody else's would be found before ours behind a pooler.
        "search_path": f'"{store.schema_name}", pg_temp',
        "application_name": "watchword",
        # Compiling a query or starting workers for it takes longer than our queries run.
        "jit": "off",
        "max_parallel_workers_per_gather": "0",
        # The server ends a statement, including its waits for locks, so it holds no locks for longer.
        "statement_timeout": limit,
        "lock_timeout": "0",
        # If a client has died and the server has not noticed, its transaction holds its locks no longer than this.
        "idle_in_transaction_session_timeout": limit,
    }


class Connection(asyncpg.Connection):
    """A connection. connect.py makes it ready."""

    # When it went back to the pool, in seconds of the event loop's clock. None while it is in use, or new.
    used_at: float | None = None
    # Whether a pooler is between.
    pooled = False
    # Where our tables are.
    schema = ""
    _begin = BEGIN
    # Told of each answer.
    heard: Callable[[], None] = staticmethod(lambda: None)

    def taken(self) -> float | None:
        """Note that it is in use. When it went back to the pool before; None for a new one."""
        used_at, self.used_at = self.used_at, None
        return used_at

    async def fetch(self, *arguments: Any, **options: Any) -> Any:
        """As in asyncpg."""
        with understood(self):
            rows = await super().fetch(*arguments, **options)
        self.heard()
        return rows

    async def execute(self, *arguments: Any, **options: Any) -> str:
        """As in asyncpg."""
        with understood(self):
            status = await super().execute(*arguments, **options)
        self.heard()
        return status

    async def check_settings(self, store: StoreSettings) -> None:
        """Set for the session what can't come with its start. Raises AssertError if a pooler is between."""
        # A pooler has sessions of its own with PostgreSQL, and does not tell their process ids. One that takes settings
        # with the start may forget them.
        other = f"pg_backend_pid() <> {self.get_server_pid()}"
        search_path = session_settings(store)["search_path"]
        await self.execute(
            # First, since it bounds the others too. Behind a pooler it has to change nothing that lasts.
            (f"SELECT set_config('transaction_timeout', '0', {other}); " if self._has_transaction_timeout() else "")
            + f"DO $$BEGIN ASSERT NOT ({other}) AND current_setting('search_path') = '{search_path}'; END$$; "
            + _SETTLED.format(local="false")
        )
        self.schema = store.schema_name

    def set_in_transactions(self, store: StoreSettings) -> None:
        """Let each transaction begin with the settings, since a pooler is between."""
        self.pooled, self.schema = True, store.schema_name
        self._begin = f"{BEGIN}; {self._set(store, local='true')}"

    async def set_for_session(self, store: StoreSettings) -> None:
        """Set it for a session of a pooler that is ours alone until the connection is closed."""
        await self.execute(self._set(store, local="false"))

    def _set(self, store: StoreSettings, *, local: str) -> str:
        first = {"transaction_timeout": "0"} if self._has_transaction_timeout() else {}
        # No value has a quote in it: they are ours, and the name of the schema was checked.
        settings = (
            f"set_config('{name}', '{value}', {local})" for name, value in (first | session_settings(store)).items()
        )
        return f"SELECT {', '.join(settings)}; {_SETTLED.format(local=local)}"

    def _has_transaction_timeout(self) -> bool:
        return bool(self.get_server_version().major >= _OLDEST_WITH_TRANSACTION_TIMEOUT)

    @property
    def channel(self) -> str:
        """The channel of LISTEN, which belongs to the database: each schema has its own."""
        return self.schema

    async def begin(self) -> None:
        """Begin a transaction.

        Its isolation is set since a database may have another one: after a lock, reads must see the latest commits.
        """
        try:
            await self.execute(self._begin)
        except asyncpg.ConnectionDoesNotExistError as error:
            if _STATEMENT_MODE in str(error):
                raise StoreRefused(_NO_TRANSACTIONS) from error
            raise

    async def run_alone(self, sql: str, *parameters: Any, seconds: float | None = None) -> Any:
        """Run one statement as its own transaction, which is one round trip unless there is a pooler."""
        if not self.pooled:
            return await self.fetch(sql, *parameters, timeout=seconds)
        await self.begin()
        rows = await self.fetch(sql, *parameters, timeout=seconds)
        await self.execute("COMMIT", timeout=seconds)
        return rows
