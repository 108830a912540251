"""Makes connections to PostgreSQL, and checks the server first."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import asyncpg

from server.core.errors import StoreRefused
from server.database.postgres.errors import POOLER, understood
from server.database.postgres.schema import SCHEMA

CONNECT_SECONDS = 3.0
# How long a statement may take, including its waits for locks. The server ends it, so it holds no locks for longer.
STATEMENT_SECONDS = 3.0
# The timeout on this side, for a server that can't be reached any more.
COMMAND_SECONDS = STATEMENT_SECONDS + 0.5
# The first version with XID8 and pg_current_snapshot().
OLDEST_VERSION = 13

# Set for each session, since a database or a role may have other defaults.
SESSION = {
    "search_path": SCHEMA,
    "application_name": "watchword",
    # Compiling a query or starting workers for it takes longer than our queries run.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "statement_timeout": f"{STATEMENT_SECONDS:.0f}s",
    "lock_timeout": "0",
    # If a client has died and the server has not noticed, its transaction holds its locks no longer than this.
    "idle_in_transaction_session_timeout": f"{STATEMENT_SECONDS:.0f}s",
}


# For version 17 and newer. Imports and migrations take long. It is the first statement, since it bounds the others too.
_NO_LIMIT_17 = "SET transaction_timeout = 0; "
# A pooler may not pass the settings of SESSION on: then other tables may be found, and statements have no timeout.
_PASSED_ON = f"DO $$BEGIN ASSERT current_setting('search_path') = '{SCHEMA}'; END$$; "
# A database may be set so that commits do not wait for the disk. But what we acknowledge must not be lost.
_SETTLED = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'; "

_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SSL_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")


class Connection(asyncpg.Connection):
    """A connection. `used_at` is when it went back to the pool, in seconds of the event loop's clock."""

    used_at: float | None = None

    async def fetch(self, *arguments: Any, **options: Any) -> Any:
        """As in asyncpg."""
        with understood(self):
            return await super().fetch(*arguments, **options)

    async def execute(self, *arguments: Any, **options: Any) -> str:
        """As in asyncpg."""
        with understood(self):
            return await super().execute(*arguments, **options)


def connector(url: str) -> Callable[..., Coroutine[Any, Any, Connection]]:
    """A function that connects to the primary. A standby is never used, since its data may be out of date.

    The function takes options of asyncpg.connect. It raises StoreRefused for a server that can't be used, and the
    errors of asyncpg.
    """
    tls = _tls(url)
    hosts = _one_host_each(url)

    async def connect(**options: Any) -> Connection:
        """Try the hosts of the URL in turn. The first one is the host that worked the last time."""
        for host in list(hosts):
            try:
                connection = await connect_to(host, **options)
            except (OSError, asyncpg.CannotConnectNowError, asyncpg.TargetServerAttributeNotMatched) as error:
                failure = error
            else:
                hosts.remove(host)
                hosts.insert(0, host)
                return connection
        raise failure

    async def connect_to(host: str, **options: Any) -> Connection:
        defaults: dict[str, Any] = {
            "timeout": CONNECT_SECONDS / len(hosts),
            "command_timeout": COMMAND_SECONDS,
            "ssl": tls,
            "connection_class": Connection,
        }
        wanted = {"target_session_attrs": "primary", "server_settings": SESSION}
        with understood():
            connection: Connection = await asyncpg.connect(host, **defaults | options | wanted)
        try:
            _require_usable(connection)
            limit = _NO_LIMIT_17 if connection.get_server_version().major >= 17 else ""
            await connection.execute(limit + _PASSED_ON + _SETTLED)
        except BaseException as error:
            connection.terminate()
            if isinstance(error, asyncpg.AssertError):
                raise StoreRefused(POOLER.format("search_path")) from error
            raise
        return connection

    return connect


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


def _tls(url: str) -> ssl.SSLContext | None:
    """The system's certificate authorities for sslmode=verify-full without sslrootcert; None: asyncpg reads the URL."""
    options = {name: values[-1] for name, values in parse_qs(urlsplit(url).query).items()}
    mode = options.get("sslmode") or os.environ.get("PGSSLMODE") or None
    if mode not in (None, *_SSL_MODES):
        raise StoreRefused(f"sslmode in store.url is none of: {', '.join(_SSL_MODES)}")
    files = {name: options.get(name) or os.environ.get(f"PG{name.upper()}") or None for name in _SSL_FILES}
    for name, path in files.items():
        if path is not None and path != "system" and not Path(path).is_file():
            raise StoreRefused(f"{name} in store.url: {path} is not there, or can't be read")
    roots = files["sslrootcert"]
    if roots == "system":
        if mode not in (None, "verify-full"):
            # A public authority gives a certificate to anybody, so the host name has to be checked too.
            raise StoreRefused("sslrootcert=system in store.url needs sslmode=verify-full")
    elif roots is not None or mode != "verify-full" or Path(os.path.expanduser("~/.postgresql/root.crt")).exists():  # noqa: PTH111
        return None
    context = ssl.create_default_context()
    context.set_alpn_protocols(["postgresql"])
    if certificate := files["sslcert"]:
        context.load_cert_chain(certificate, files["sslkey"], lambda: options.get("sslpassword", ""))
    return context
