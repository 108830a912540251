"""PostgreSQL: whether it can be reached, up to date and written to, with which rights, and over which connection."""

from __future__ import annotations

from server.database.open import pending_migrations, require_notifications
from server.database.postgres.condition import Condition, condition_of
from server.doctor import schema
from server.doctor.model import Case, Finding, note, ok, size, warning, wrong
from server.repositories import Repositories
from server.settings.masking import masked_url

TOPIC = "store"


async def tables(case: Case) -> list[Finding]:
    """What there is; ok if the other checks can read it. Raises StoreRefused, StoreUnavailable."""
    store = case.settings.store
    return [schema.schema(TOPIC, f"PostgreSQL, {masked_url(store.url)}", await pending_migrations(store))]


async def condition(case: Case, repositories: Repositories) -> list[Finding]:
    """Version, size, rights, connections and TLS. Raises StoreUnavailable."""
    found = await condition_of(repositories.driver)
    about = f"PostgreSQL {found.version}, database {found.database}, {size(found.size_bytes)}, role {found.role}"
    return [
        ok(TOPIC, about),
        *_rights(found),
        *_connections(case, found),
        *_tls(found),
        *_power(found),
        *_standbys(found),
    ]


async def writable(repositories: Repositories) -> list[Finding]:
    """Whether the writes of a login would work. Raises StoreUnavailable."""
    await repositories.readiness.rehearse()
    return [ok(TOPIC, "it takes the writes of a login")]


async def notifications(case: Case) -> list[Finding]:
    """Whether a server would be told of what others change. Raises StoreRefused, StoreUnavailable."""
    await require_notifications(case.settings.store)
    direct = case.settings.store.listen_url
    way = f"over store.listen_url, {masked_url(direct)}" if direct else "over store.url"
    return [ok(TOPIC, f"a server is told of what other nodes change, {way}")]


def _rights(found: Condition) -> list[Finding]:
    if found.only_reads:
        text = "it takes no writes: default_transaction_read_only is on"
        return [
            wrong(TOPIC, text, f"ALTER DATABASE {found.database} RESET default_transaction_read_only, or of the role")
        ]
    if found.without_rights:
        text = f"the role {found.role} may not read and write all tables: {found.without_rights}"
        return [wrong(TOPIC, text, f"GRANT SELECT, INSERT, UPDATE, DELETE ON these TO {found.role}")]
    if not found.may_make_tables or found.not_owned:
        return [note(TOPIC, f"the role {found.role} may not change tables: `migrate` has to be run by their owner")]
    return []


def _connections(case: Case, found: Condition) -> list[Finding]:
    most = found.most_connections if found.most_of_role < 0 else min(found.most_connections, found.most_of_role)
    # Of each process: those of the pool, and the one that listens.
    wanted = case.settings.server.worker_count * (case.settings.store.pool_size + 1)
    text = f"{found.connections} of {most} connections are in use; a node of these settings takes up to {wanted}"
    if wanted > most:
        return [warning(TOPIC, text, "raise max_connections, or lower store.pool_size or server.workers")]
    return [ok(TOPIC, text)]


def _tls(found: Condition) -> list[Finding]:
    if found.tls:
        return [ok(TOPIC, "the connection has TLS")]
    if found.is_local:
        return [ok(TOPIC, "the connection has no TLS, and stays on this machine")]
    text = "the connection has no TLS: whoever is on the network can read hashes and change what is stored"
    return [warning(TOPIC, text, "sslmode=verify-full in store.url")]


def _power(found: Condition) -> list[Finding]:
    """Whether what is committed survives a power failure. Commits wait for the disk, whatever the database says."""
    if not found.unsafe:
        return []
    text = f"off: {found.unsafe}, so a power failure may lose or damage what was acknowledged"
    return [warning(TOPIC, text, "switch it on in postgresql.conf, unless the file system makes up for it")]


def _standbys(found: Condition) -> list[Finding]:
    if not found.standbys:
        return []
    if found.synchronous:
        return [ok(TOPIC, f"standbys: {found.standbys}, and commits wait for: {found.synchronous}")]
    text = f"standbys: {found.standbys}, and commits wait for none: a failover may lose the last changes"
    return [note(TOPIC, text, "docs/postgresql.md says what that means for revocations")]
