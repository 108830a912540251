"""Keeps a PostgreSQL store from being written, while it is moved and afterwards, by triggers on its tables.

While it is moved, the one who moves it holds an advisory lock, the gate. The triggers try to share it: so they refuse
writes at once, and let them pass again when the mover is dead. A write that has passed shares the lock until its
transaction ends, so the mover gets the lock only when no such transaction is left. Afterwards a row in `store_state`
says that the store was moved.
"""

from __future__ import annotations

from typing import Any

from server.database.postgres.connection import Connection
from server.database.postgres.errors import MOVED, MOVING
from server.database.postgres.schema import LOCK_SPACE, lock_name
from server.database.store_state import BEING_MOVED, STATE_COLUMNS, StoreState, is_written

_TRIGGER = "moved_away"
_GATE = "store gate"

# The lock comes first, the row after it: the mover writes the row before it releases the lock. Each statement of the
# function sees what was committed before it, but only at this level of isolation.
_FUNCTION = """
CREATE OR REPLACE FUNCTION "{schema}".refuse_moved_away() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    whereto TEXT;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed'
        OR NOT pg_catalog.pg_try_advisory_xact_lock_shared({space}, pg_catalog.hashtext('{gate}')) THEN
        RAISE EXCEPTION USING ERRCODE = '{moving}', MESSAGE = '{being_moved}';
    END IF;
    SELECT place INTO whereto FROM "{schema}".store_state WHERE state = 'moved';
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = '{moved}', MESSAGE = 'this store was moved to ' || whereto;
    END IF;
    RETURN NULL;
END
$$
"""
_TABLES = (
    "SELECT relname::text AS name FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace "
    "ON relnamespace = pg_namespace.oid WHERE nspname = $1 AND relkind IN ('r', 'p') ORDER BY relname"
)
_WITH_TRIGGER = (
    "SELECT relname::text AS name FROM pg_catalog.pg_trigger JOIN pg_catalog.pg_class ON tgrelid = pg_class.oid "
    "JOIN pg_catalog.pg_namespace ON relnamespace = pg_namespace.oid WHERE nspname = $1 AND tgname = $2"
)


async def state_of(connection: Connection) -> StoreState | None:
    """The state of the store; None if it was never moved, or is older than such states."""
    table = f'"{connection.schema}".store_state'
    ((is_there,),) = await connection.fetch("SELECT to_regclass($1) IS NOT NULL", table)
    rows = await connection.fetch(f"SELECT {STATE_COLUMNS} FROM {table}") if is_there else []
    return StoreState(**rows[0]) if rows else None


async def set_state(connection: Connection, state: StoreState) -> None:
    """Write the state, in the transaction of the caller."""
    await clear_state(connection)
    sql = f'INSERT INTO "{connection.schema}".store_state (id, {STATE_COLUMNS}) VALUES (1, $1, $2, $3, $4)'
    await connection.execute(sql, *state)


async def clear_state(connection: Connection) -> None:
    """Forget that the store was moved."""
    await connection.execute(f'DELETE FROM "{connection.schema}".store_state')


async def close_gate(connection: Connection) -> None:
    """Take the lock, for the transaction of the caller, when no transaction is left that has written."""
    await connection.fetch("SELECT pg_advisory_xact_lock($1::int, hashtext($2))", *_gate(connection))


async def make_gate(connection: Connection) -> None:
    """Make the triggers, which let writes pass until somebody holds the lock.

    Each is a transaction of its own: it waits for the transactions that write to this table, and holds no other lock.
    """
    schema = connection.schema
    space, gate = _gate(connection)
    await connection.execute(
        _FUNCTION.format(schema=schema, space=space, gate=gate, moving=MOVING, moved=MOVED, being_moved=BEING_MOVED)
    )
    made = await _names(connection, _WITH_TRIGGER, _TRIGGER)
    for table in await written_tables(connection):
        if table not in made:
            await connection.execute(
                f'CREATE TRIGGER {_TRIGGER} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON "{schema}"."{table}" '
                f'EXECUTE FUNCTION "{schema}".refuse_moved_away()'
            )


async def remove_gate(connection: Connection) -> None:
    """Remove the triggers again."""
    for table in await _names(connection, _WITH_TRIGGER, _TRIGGER):
        await connection.execute(f'DROP TRIGGER {_TRIGGER} ON "{connection.schema}"."{table}"')
    await connection.execute(f'DROP FUNCTION IF EXISTS "{connection.schema}".refuse_moved_away()')


async def written_tables(connection: Connection) -> list[str]:
    """The tables that are moved."""
    return [name for name in await _names(connection, _TABLES) if is_written(name)]


def _gate(connection: Connection) -> tuple[int, str]:
    return LOCK_SPACE, lock_name(connection.schema, _GATE)


async def _names(connection: Connection, sql: str, *parameters: Any) -> list[str]:
    return [row["name"] for row in await connection.fetch(sql, connection.schema, *parameters)]
