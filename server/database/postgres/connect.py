"""Makes connections to PostgreSQL, direct or through a pooler, and checks the server first."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from server.core.errors import StoreRefused
from server.database.postgres.connection import Connection, session_settings
from server.database.postgres.errors import plainly_told, understood
from server.database.postgres.tls import tls_of
from server.settings.tree import StoreSettings

# A client waits a little longer than the server, which may not be reachable any more.
COMMAND_SECONDS_MORE = 0.5
# The first version with XID8 and pg_current_snapshot().
OLDEST_VERSION = 13

# What a pooler says that does not take settings with the start of a session.
_NO_SETTINGS = "unsupported startup parameter"


def listening_setting(store: StoreSettings) -> str:
    """The setting with the URL of PostgreSQL itself."""
    return "store.listen_url" if store.listen_url else "store.url"


class _PoolerBetweenError(Exception):
    """A connection that should be direct leads to a pooler."""


class Connector:
    """Connects to the primary. A standby is never used, since its data may be out of date.

    `pooled` says whether there is a pooler between, which the first connection finds out.
    """

    def __init__(self, store: StoreSettings, *, direct: bool = False) -> None:
        """Use store.url; or with `direct` store.listen_url, if there is one. Raises StoreRefused, ValueError."""
        self.store = store
        self.pooled = False
        self.url = store.listen_url if direct and store.listen_url else store.url
        self._tls = tls_of(self.url, listening_setting(store) if direct else "store.url")
        self._hosts = _one_host_each(self.url)

    def seconds_for_others(self, within_seconds: float) -> float:
        """How long it may take until the last host of the URL is tried, if none of the others answers."""
        return (1 - 1 / len(self._hosts)) * min(self.store.connect_timeout_seconds, within_seconds)

    async def __call__(self, *, within_seconds: float = math.inf, **options: Any) -> Connection:
        """Try the hosts of the URL in turn. The first one is the host that worked the last time.

        It takes the time of the settings, or less if `within_seconds` is less. Takes options of asyncpg.connect. Raises
        its errors, and StoreRefused for a server that can't be used.
        """
        seconds = min(self.store.connect_timeout_seconds, within_seconds)
        options = {"timeout": seconds / len(self._hosts)} | options
        for host in list(self._hosts):
            try:
                connection = await self._connect_to(host, options)
            except (OSError, asyncpg.CannotConnectNowError, asyncpg.TargetServerAttributeNotMatched) as error:
                failure = error
            else:
                self._hosts.remove(host)
                self._hosts.insert(0, host)
                return connection
        raise failure

    async def _connect_to(self, host: str, options: dict[str, Any]) -> Connection:
        if not self.pooled:
            with suppress(_PoolerBetweenError):
                return await self._direct(host, options)
            self.pooled = True
        # A named statement would be prepared in one session of the pooler, and looked for in another.
        options = options | {"statement_cache_size": 0}
        connection = await self._open(host, options, {"application_name": "watchword"})
        with _closed_if_refused(connection):
            _require_usable(connection)
        connection.set_in_transactions(self.store)
        return connection

    async def _direct(self, host: str, options: dict[str, Any]) -> Connection:
        try:
            connection = await self._open(host, options, session_settings(self.store))
        except asyncpg.ProtocolViolationError as error:
            if _NO_SETTINGS in str(error):
                raise _PoolerBetweenError from error
            raise
        with _closed_if_refused(connection):
            _require_usable(connection)
            try:
                await connection.check_settings(self.store)
            except asyncpg.AssertError as error:
                raise _PoolerBetweenError from error
        return connection

    async def _open(self, host: str, options: dict[str, Any], settings: dict[str, str]) -> Connection:
        defaults: dict[str, Any] = {
            "command_timeout": self.store.statement_timeout_seconds + COMMAND_SECONDS_MORE,
            "ssl": self._tls,
            "connection_class": Connection,
        }
        wanted = {"target_session_attrs": "primary", "server_settings": settings}
        with understood(), plainly_told():
            connection: Connection = await asyncpg.connect(host, **defaults | options | wanted)
        return connection


@contextmanager
def _closed_if_refused(connection: Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.terminate()
        raise


def _require_usable(connection: Connection) -> None:
    version = connection.get_server_version()
    if version.major < OLDEST_VERSION:
        raise StoreRefused(f"PostgreSQL is version {version.major}; Watchword needs {OLDEST_VERSION} or newer")
    encoding = connection.get_settings().server_encoding
    if encoding != "UTF8":
        raise StoreRefused(
            f"the PostgreSQL database has the encoding {encoding}, which can't hold every name; make one with "
            "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, and name it in store.url"
        )


def _one_host_each(url: str) -> list[str]:
    """A URL for each host: a primary and its standbys. Each has its own timeout, so a dead host can't use it all."""
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    each = [parts._replace(netloc=f"{user}{at}{host}") for host in hosts.split(",")]
    for one in each:
        # Raises ValueError if the port is not a number.
        _ = one.port
    return [urlunsplit(one) for one in each]
