"""What the errors of asyncpg mean: at the start for a person, later for a request."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from server.core.errors import StoreRefused, StoreUnavailable
from server.database.failure import unavailable

POOLER = "a pooler, as PgBouncer, keeps settings of our sessions to itself ({}); name PostgreSQL itself in store.url"


@contextmanager
def understood(connection: asyncpg.Connection | None = None) -> Iterator[None]:
    """What is no PostgreSQL, or broken on its way, asyncpg does not tell by one error: its code stumbles somewhere."""
    try:
        yield
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        raise
    except Exception as error:
        if connection is not None:
            connection.terminate()
        raise ConnectionError("what came is no answer of PostgreSQL") from error


def _why_no_tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of PostgreSQL is not trusted ({error.verify_message}); in store.url, name the file of "
            "its authority with sslrootcert=, and the host as it is in the certificate"
        )
    reason = error.reason or "no reason was given"
    return (
        f"no TLS with PostgreSQL ({reason}); check the files that sslrootcert=, sslcert= and sslkey= in store.url name"
    )


@contextmanager
def opening() -> Iterator[None]:
    """Tells the person at the start what is wrong, without the URL: it may hold a password."""
    try:
        yield
    except ssl.SSLError as error:
        raise StoreRefused(_why_no_tls(error)) from error
    except (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError) as error:
        failure = StoreUnavailable()
        failure.detail = (
            f"PostgreSQL is held up ({error.message}): another session has locked what has to be changed, or another "
            "node is migrating; try again when it is done"
        )
        raise failure from error
    except asyncpg.TargetServerAttributeNotMatched as error:
        failure = StoreUnavailable()
        failure.detail = "PostgreSQL takes no writes there: it is a standby; name the primary in store.url"
        raise failure from error
    except (asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError, OSError, TimeoutError) as error:
        failure = StoreUnavailable()
        reason = getattr(error, "message", None) or str(error) or "no answer in time"
        failure.detail = f"PostgreSQL can't be reached ({reason}); check store.url"
        raise failure from error
    except (asyncpg.ConnectionDoesNotExistError, asyncpg.InternalClientError) as error:
        failure = StoreUnavailable()
        failure.detail = "PostgreSQL can't be reached (the connection was closed); check store.url"
        raise failure from error
    except asyncpg.ProtocolViolationError as error:
        raise StoreRefused(POOLER.format(error.message)) from error
    except asyncpg.PostgresError as error:
        raise StoreRefused(
            f"PostgreSQL refuses ({error.message}); check store.url and the rights of its user"
        ) from error
    except (ValueError, OverflowError, asyncpg.InterfaceError) as error:
        if "root certificate file" in str(error):
            raise StoreRefused("this sslmode in store.url needs sslrootcert=, the file of the authority") from error
        raise StoreRefused(
            "store.url can't be read; write postgresql://user:password@host/database; in the password, @ : / as % codes"
        ) from None


def _is_defect(error: BaseException) -> bool:
    """A statement or a value of ours is at fault, not the database.

    Constraints are not among them: our statements mind those that they know, so it is one that was added since, or rows
    that do not go together, as of a dump that was restored under a running server.
    """
    if isinstance(error, asyncpg.InterfaceError):
        # How asyncpg refuses a value, and not what it says of files that the URL names.
        return isinstance(error, ValueError) and not isinstance(error, asyncpg.ClientConfigurationError)
    return isinstance(error, asyncpg.DataError | asyncpg.PostgresSyntaxError)


@contextmanager
def asking() -> Iterator[None]:
    """Of a server that runs: whatever the database says is StoreUnavailable, if it is not a defect of ours."""
    try:
        yield
    except StoreRefused as error:
        # The database behind the URL has become another one.
        raise unavailable(error) from error
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        if _is_defect(error):
            raise
        # Their messages name what is wrong in the database, and no value.
        raise unavailable(error, getattr(error, "message", None)) from error
