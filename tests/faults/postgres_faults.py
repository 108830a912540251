"""The table of faults: what is done to PostgreSQL, how it ends, and what requests may be answered meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import asyncpg

from tests.faults.postgres_site import ROLE, Site

FAILS = frozenset({503})
WORKS = frozenset({200})
# Some of both: connections that there are behave otherwise than new ones, or a request is quick enough.
EITHER = FAILS | WORKS
AWAY = frozenset({"store_away", "store_slow"})

_LIMITS = (
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "transaction_timeout",
)


@dataclass(frozen=True)
class Fault:
    """`reasons` has what readiness may say; where it is empty, the node may stay ready."""

    begin: Callable[[Site], None]
    end: Callable[[Site], None]
    writes: frozenset[int] = FAILS
    reads: frozenset[int] = FAILS
    reasons: frozenset[str] = frozenset()
    # Whether `make test` has it.
    quick: bool = False


def _restart(here: Site) -> None:
    here.cluster.stop("fast")
    here.cluster.start()


def _over(_: Site) -> None:
    """It has ended by itself."""


def _release(here: Site) -> None:
    here.held.close()


def _transaction(*statements: str) -> Callable[[Site], None]:
    """Another session does this in a transaction that it leaves open."""

    async def begun(url: str) -> asyncpg.Connection[asyncpg.Record]:
        connection = await asyncpg.connect(url)
        for statement in ("BEGIN", *statements):
            await connection.execute(statement)
        return connection

    def begin(here: Site) -> None:
        runner = here.held.enter_context(asyncio.Runner())
        here.held.callback(runner.run(begun(here.cluster.url())).terminate)

    return begin


def _take_all_connections(here: Site) -> None:
    """Somebody else does, those that are reserved for superusers too."""

    async def taken(url: str, most: int) -> list[asyncpg.Connection[asyncpg.Record]]:
        found: list[asyncpg.Connection[asyncpg.Record]] = []
        while len(found) < most:
            try:
                found.append(await asyncpg.connect(url))
            except asyncpg.TooManyConnectionsError:
                # Ours still have some, and come back.
                await found[0].execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", ROLE
                )
        return found

    most = int(here.cluster.value("SHOW max_connections"))
    runner = here.held.enter_context(asyncio.Runner())
    for connection in runner.run(taken(here.cluster.url(), most)):
        here.held.callback(connection.terminate)


def _role_cannot(*changes: str) -> Callable[[Site], None]:
    def begin(here: Site) -> None:
        here.run(*changes)
        here.terminate_backends()

    return begin


def _set_limits(here: Site) -> None:
    for name in _LIMITS:
        here.set(name, "'100ms'")


def _reset_limits(here: Site) -> None:
    for name in _LIMITS:
        here.reset(name)


def _slow(seconds: float) -> Callable[[Site], None]:
    def change(here: Site) -> None:
        here.proxy.delay_seconds = seconds

    return change


FAULTS: dict[str, Fault] = {
    "stopped, fast": Fault(lambda here: here.cluster.stop("fast"), lambda here: here.cluster.start(), reasons=AWAY),
    "stopped, immediate": Fault(
        lambda here: here.cluster.stop("immediate"), lambda here: here.cluster.start(), reasons=AWAY, quick=True
    ),
    "killed": Fault(lambda here: here.cluster.kill(), lambda here: here.cluster.start(), reasons=AWAY),
    "restarted at once": Fault(_restart, _over, EITHER, EITHER),
    "frozen": Fault(lambda here: here.cluster.freeze(), lambda here: here.cluster.thaw(), reasons=AWAY),
    "all packets are lost": Fault(
        lambda here: here.proxy.hold(new_too=True), lambda here: here.proxy.release(), reasons=AWAY, quick=True
    ),
    "packets of old connections are lost": Fault(
        lambda here: here.proxy.hold(), lambda here: here.proxy.release(), EITHER, EITHER
    ),
    "answers stop half-way": Fault(lambda here: here.proxy.halve(), lambda here: here.proxy.release(), EITHER, EITHER),
    "answers are 0.5 s late": Fault(_slow(0.5), _slow(0.0), EITHER, EITHER, AWAY),
    "no new connections": Fault(
        lambda here: here.call_in_proxy(here.proxy.refuse_new),
        lambda here: here.in_proxy(here.proxy.listen()),
        WORKS,
        WORKS,
    ),
    "read-only": Fault(
        lambda here: here.set("default_transaction_read_only", "on"),
        lambda here: here.reset("default_transaction_read_only"),
        reads=WORKS,
        reasons=frozenset({"store_read_only"}),
    ),
    "all connections are taken": Fault(_take_all_connections, _release, reasons=AWAY),
    "no connection for the role": Fault(
        _role_cannot(f"ALTER ROLE {ROLE} CONNECTION LIMIT 0"),
        lambda here: here.run(f"ALTER ROLE {ROLE} CONNECTION LIMIT -1"),
        reasons=AWAY,
    ),
    "no login for the role": Fault(
        _role_cannot(f"ALTER ROLE {ROLE} NOLOGIN"), lambda here: here.run(f"ALTER ROLE {ROLE} LOGIN"), reasons=AWAY
    ),
    "rights on a table are lost": Fault(
        lambda here: here.run("ALTER TABLE watchword.users OWNER TO postgres"),
        lambda here: here.run(f"ALTER TABLE watchword.users OWNER TO {ROLE}"),
        reasons=frozenset({"store_changed"}),
    ),
    "a table is locked": Fault(_transaction("LOCK TABLE watchword.users"), _release, reasons=frozenset({"store_slow"})),
    "a row is locked": Fault(
        _transaction("SELECT FROM watchword.users WHERE username = 'admin' FOR UPDATE"), _release, EITHER, EITHER
    ),
    "a synchronous standby is missing": Fault(
        lambda here: here.set("synchronous_standby_names", "'nobody'"),
        lambda here: here.reset("synchronous_standby_names"),
        reads=EITHER,
        reasons=frozenset({"store_slow"}),
    ),
    "limits of time by the operator": Fault(_set_limits, _reset_limits, EITHER, EITHER),
}
