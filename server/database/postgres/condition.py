"""What `doctor` asks a PostgreSQL store about itself."""

from __future__ import annotations

from dataclasses import dataclass, fields

from server.database.driver import Driver

# For any user: others' rows of pg_stat_activity have no more than pid, user and database. Roles of other programs have
# their own search_path, so the schema is found by ours. To the audit log rows are only added.
_CONDITION = """
SELECT current_setting('server_version') AS version,
    current_database()::text AS database,
    current_user::text AS role,
    pg_database_size(current_database()) AS size_bytes,
    (SELECT count(*) FROM pg_stat_activity WHERE datname IS NOT NULL) AS connections,
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true), '0')::int AS most_connections,
    (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS most_of_role,
    coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS tls,
    coalesce(inet_server_addr() IS NULL OR inet_server_addr() = inet_client_addr(), true) AS is_local,
    (SELECT count(*) FROM pg_stat_replication) AS standbys,
    current_setting('synchronous_standby_names') AS synchronous,
    (SELECT coalesce(string_agg(name, ', ' ORDER BY name), '') FROM pg_settings
        WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off') AS unsafe,
    current_setting('transaction_read_only') = 'on' AS only_reads,
    has_schema_privilege(current_schema(), 'CREATE') AS may_make_tables,
    (SELECT coalesce(string_agg(relname::text, ', ' ORDER BY relname), '') FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
        AND NOT pg_has_role(relowner, 'USAGE')) AS not_owned,
    (SELECT coalesce(string_agg(relname::text, ', ' ORDER BY relname), '') FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relname <> 'schema_migrations'
        AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
        AND (relname = 'audit_events'
        OR has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE')))) AS without_rights
"""


@dataclass(frozen=True, slots=True)
class Condition:
    """A database as our role sees it. Lists of names are texts with commas; `most_of_role` is -1 for no limit."""

    version: str
    database: str
    role: str
    size_bytes: int
    connections: int
    most_connections: int
    most_of_role: int
    tls: bool
    is_local: bool
    standbys: int
    synchronous: str
    unsafe: str
    only_reads: bool
    may_make_tables: bool
    not_owned: str
    without_rights: str


async def condition_of(driver: Driver) -> Condition:
    """Ask the database. Raises StoreUnavailable."""
    (row,) = await driver.read(_CONDITION)
    return Condition(**{field.name: row[field.name] for field in fields(Condition)})
