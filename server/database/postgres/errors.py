"""Turns errors of asyncpg into ours: at the start into a message for the operator, later into StoreUnavailable."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from server.core.errors import StoreMoving, StoreRefused, StoreUnavailable
from server.database.failure import Operation, Trouble

# What a pooler, as PgBouncer, says while its server is away, in older versions always as a violation of the protocol.
_POOLER_IS_FULL = re.compile("no more connections allowed|connections exceeded|too many (clients|connections)|slots")
_POOLER_WAITS = re.compile(
    "cannot connect|try again later|timeout|shutting down|the database system is|crashed|pause failed"
)

# Classes of errors with which PostgreSQL itself ends a transaction: invalid state of a transaction, rollback, resources
# that are used up, state of an object.
_UNDONE = {"25", "40", "53", "55"}

# Codes of our own, which PostgreSQL and its extensions do not use: the triggers of closing.py raise them.
MOVING = "WWM01"
MOVED = "WWM02"


def refusal_of(error: BaseException) -> StoreMoving | None:
    """The error for a write to a store that is being moved, or was moved; None for any other error."""
    if isinstance(error, asyncpg.PostgresError) and error.sqlstate in (MOVING, MOVED):
        return StoreMoving(str(error))
    return None


@contextmanager
def understood(connection: asyncpg.Connection | None = None) -> Iterator[None]:
    """Turn other exceptions of asyncpg into ConnectionError: if the peer is not PostgreSQL, it can raise anything."""
    try:
        yield
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        raise
    except Exception as error:
        if connection is not None:
            connection.terminate()
        raise ConnectionError("what came is no answer of PostgreSQL") from error


@contextmanager
def plainly_told() -> Iterator[None]:
    """Turn what a pooler says of a server that is away into what PostgreSQL would say."""
    try:
        yield
    except asyncpg.ProtocolViolationError as error:
        if _POOLER_IS_FULL.search(str(error)):
            raise asyncpg.TooManyConnectionsError(str(error)) from error
        if _POOLER_WAITS.search(str(error)):
            raise asyncpg.CannotConnectNowError(str(error)) from error
        raise


def _why_no_tls(error: ssl.SSLError, setting: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of PostgreSQL is not trusted ({error.verify_message}); in {setting}, name the file of "
            "its authority with sslrootcert=, and the host as it is in the certificate"
        )
    reason = error.reason or "no reason was given"
    return (
        f"no TLS with PostgreSQL ({reason}); check the files that sslrootcert=, sslcert= and sslkey= in {setting} name"
    )


@contextmanager
def opening(setting: str = "store.url") -> Iterator[None]:
    """Raise errors whose messages say what is wrong. They do not contain the URL, which may hold a password."""
    try:
        yield
    except ssl.SSLError as error:
        raise StoreRefused(_why_no_tls(error, setting)) from error
    except (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError) as error:
        failure = StoreUnavailable()
        failure.detail = (
            f"PostgreSQL is held up ({error.message}): another session has locked what has to be changed, or another "
            "node is migrating; try again when it is done"
        )
        raise failure from error
    except asyncpg.TargetServerAttributeNotMatched as error:
        failure = StoreUnavailable()
        failure.detail = f"PostgreSQL takes no writes there: it is a standby; name the primary in {setting}"
        raise failure from error
    except (asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError, OSError, TimeoutError) as error:
        failure = StoreUnavailable()
        reason = getattr(error, "message", None) or str(error) or "no answer in time"
        failure.detail = f"PostgreSQL can't be reached ({reason}); check {setting}"
        raise failure from error
    except (asyncpg.ConnectionDoesNotExistError, asyncpg.InternalClientError) as error:
        failure = StoreUnavailable()
        failure.detail = f"PostgreSQL can't be reached (the connection was closed); check {setting}"
        raise failure from error
    except asyncpg.ProtocolViolationError as error:
        raise StoreRefused(f"the pooler refuses ({error.message}); check its settings, and {setting}") from error
    except asyncpg.PostgresError as error:
        raise StoreRefused(
            f"PostgreSQL refuses ({error.message}); check {setting} and the rights of its user"
        ) from error
    except (ValueError, OverflowError, asyncpg.InterfaceError) as error:
        if "root certificate file" in str(error):
            raise StoreRefused(f"this sslmode in {setting} needs sslrootcert=, the file of the authority") from error
        raise StoreRefused(
            f"{setting} can't be read; write postgresql://user:password@host/database, with @ : / in the password as "
            "% codes"
        ) from None


def _is_defect(error: BaseException) -> bool:
    """Whether the error is a defect of our statement or value, and not of the database.

    A violated constraint is not a defect: our statements respect all constraints of our tables. So somebody has added a
    constraint, or restored a dump under a running server.
    """
    if isinstance(error, asyncpg.InterfaceError):
        # asyncpg refuses a value by a ValueError; ClientConfigurationError is about files that the URL names.
        return isinstance(error, ValueError) and not isinstance(error, asyncpg.ClientConfigurationError)
    return isinstance(error, asyncpg.DataError | asyncpg.PostgresSyntaxError)


@contextmanager
def asking(trouble: Trouble, operation: Operation) -> Iterator[None]:
    """Turn errors of the database into StoreUnavailable while the server runs; defects of our code stay as they are."""
    try:
        yield
    except StoreRefused as error:
        # The URL leads to another database now.
        raise trouble.failed(operation, error) from error
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        if moving := refusal_of(error):
            raise moving from error
        if _is_defect(error):
            raise
        # These messages say what is wrong in the database, and contain no values.
        # Those of ConnectionError are asyncpg's or ours, unless they are the system's.
        told = str(error) if isinstance(error, ConnectionError) and error.errno is None else None
        failure = trouble.failed(operation, error, getattr(error, "message", told) or None)
        failure.undone = getattr(error, "undone", str(getattr(error, "sqlstate", None))[:2] in _UNDONE)
        raise failure from error
    if trouble.is_on:
        trouble.succeeded(operation)
