"""What a PostgreSQL has to be like, and what becomes of a start, a unit and a command when it is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from server.core.errors import StoreRefused, StoreUnavailable
from server.database.driver import Transaction
from server.database.migration_files import Migration, migrations
from server.database.open import apply_migrations, pending_migrations
from server.database.postgres import added
from server.database.postgres import migrate as postgres_migrate
from server.database.postgres import schema as postgres_schema
from server.database.postgres.driver import PostgresDriver
from server.repositories import Repositories, open_repositories
from server.settings.tree import StoreSettings
from tests.certificates import certified
from tests.postgres import PostgresServer
from tests.postgres_proxy import PostgresProxy
from tests.records import (
    NOW,
    add_user,
    delete_user,
    end_session,
    id_of,
    new_user,
    open_session,
    read_to_the_end,
    session,
    usernames,
)

# Where something else would wait for ever. Far above what any of it takes.
BOUND_SECONDS = 30


async def run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def refusal(url: str, *, serving: bool = True) -> str:
    """What is said of a store that can't be opened: in one line, and however silent the other side is."""
    async with asyncio.timeout(BOUND_SECONDS):
        with pytest.raises((StoreRefused, StoreUnavailable)) as caught:
            await open_repositories(url, serving=serving)
    text = str(getattr(caught.value, "detail", caught.value))
    assert "\n" not in text
    return text


@pytest.fixture
def database(postgres_url: str) -> str:
    return urlsplit(postgres_url).path[1:]


@pytest.fixture
async def driver(postgres_proxy: PostgresProxy, database: str) -> AsyncIterator[PostgresDriver]:
    """Of a server, behind the proxy."""
    opened = await PostgresDriver.open(StoreSettings(url=postgres_proxy.url(database)), serving=True)
    yield opened
    await opened.close()


async def test_a_start_tells_what_is_wrong_in_one_line(
    postgres_server: PostgresServer, postgres_url: str, postgres_proxy: PostgresProxy, database: str
) -> None:
    for encoding in ("SQL_ASCII", "LATIN1"):
        other = f"{database}_{encoding.lower()}"
        await run(postgres_server.url(), f"CREATE DATABASE {other} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
        url = postgres_server.url(other)
        for refused in (open_repositories(url, serving=True), pending_migrations(url)):
            with pytest.raises(StoreRefused, match=f"encoding {encoding}.*CREATE DATABASE.*UTF8"):
                await refused
        await run(postgres_server.url(), f"DROP DATABASE {other}")

    operator = await asyncpg.connect(postgres_server.url())
    major = operator.get_server_version().major
    await operator.close()
    postgres_proxy.replaced = (f"server_version\0{major}".encode(), b"server_version\x0012")
    assert "PostgreSQL is version 12; Watchword needs 13" in await refusal(postgres_proxy.url(database))
    postgres_proxy.replaced = None

    await apply_migrations(postgres_url)
    await run(postgres_server.url(), f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    assert "default_transaction_read_only" in await refusal(postgres_url)
    await run(postgres_server.url(), f"ALTER DATABASE {database} RESET default_transaction_read_only")

    await run(postgres_server.url(), "CREATE ROLE stranger LOGIN")
    assert "permission denied" in await refusal(postgres_proxy.url(database).replace("postgres@", "stranger@"))
    await run(postgres_server.url(), "DROP ROLE stranger")
    assert 'role "nobody" does not exist' in await refusal(postgres_proxy.url(database).replace("postgres@", "nobody@"))

    assert "can't be reached" in await refusal("postgresql://db.invalid/name")
    postgres_proxy.hold(new_too=True)
    assert "no answer in time" in await refusal(postgres_proxy.url(database))
    await postgres_proxy.refuse()
    assert "can't be reached" in await refusal(postgres_proxy.url(database))


async def test_migrations_take_their_time_whatever_the_database_allows(
    postgres_server: PostgresServer, postgres_url: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(dialect: str) -> list[Migration]:
        first, *others = migrations(dialect)
        return [replace(first, sql=f"{first.sql}\nSELECT pg_sleep(0.5);"), *others]

    monkeypatch.setattr(postgres_schema, "migrations", slow)
    limits = ("statement_timeout", "lock_timeout", "transaction_timeout", "idle_in_transaction_session_timeout")
    await run(postgres_server.url(), *(f"ALTER DATABASE {database} SET {limit} = '200ms'" for limit in limits))
    store = await open_repositories(postgres_url, serving=True)
    await add_user(store, new_user(1))
    await store.close()


async def test_a_table_that_is_locked_holds_up_a_migration_for_a_while_only(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_migrate, "PATIENCE_SECONDS", 0.5)
    with monkeypatch.context() as older:
        older.setattr(postgres_schema, "migrations", lambda dialect: migrations(dialect)[:5])
        await apply_migrations(postgres_url)
    holder = await asyncpg.connect(postgres_url, server_settings={"application_name": "a maintenance"})
    # As a write and a maintenance do it.
    for lock in ("users IN ROW EXCLUSIVE MODE", "schema_migrations IN ACCESS EXCLUSIVE MODE"):
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute(f"LOCK TABLE watchword.{lock}")
        assert "another session has locked" in await refusal(postgres_url)
        await transaction.rollback()
    await holder.close()
    assert await apply_migrations(postgres_url)


async def test_a_client_that_is_lost_in_a_unit_holds_up_others_for_a_moment_only(
    driver: PostgresDriver, postgres_url: str, postgres_proxy: PostgresProxy
) -> None:
    begun = asyncio.Event()
    store = Repositories(driver)
    await add_user(store, new_user(1))

    async def unit(transaction: Transaction) -> None:
        await transaction.run("UPDATE users SET name = 'lost'")
        postgres_proxy.hold(new_too=True)
        begun.set()
        await transaction.run("SELECT 1")

    lost = asyncio.create_task(driver.write(unit))
    await begun.wait()
    other = await open_repositories(postgres_url, serving=True)
    # The server ends what idles in a transaction, as the driver asked it to.
    async with asyncio.timeout(BOUND_SECONDS):
        while True:
            with suppress(StoreUnavailable):
                await delete_user(other, id_of(1), NOW)
                break
    await other.close()
    with pytest.raises(StoreUnavailable):
        await lost
    # What it left to tidy up does not keep the end waiting.
    async with asyncio.timeout(BOUND_SECONDS):
        await driver.close()


async def test_a_commit_whose_answer_is_lost_is_not_called_done(
    driver: PostgresDriver, postgres_proxy: PostgresProxy
) -> None:
    """Whether it happened nobody here can know, so it is neither acknowledged nor done again."""
    store = Repositories(driver)
    runs = 0

    async def unit(transaction: Transaction) -> None:
        nonlocal runs
        runs += 1
        await transaction.run("INSERT INTO guesses VALUES ('lost', 1, 0, 0, 0)")
        # From here on the server hears, and is not heard.
        postgres_proxy.deafen()

    with pytest.raises(StoreUnavailable):
        await driver.write(unit)
    assert runs == 1
    assert [tuple(row) for row in await driver.read("SELECT key FROM guesses")] == [("lost",)]
    assert await usernames(store) == set()


@pytest.mark.parametrize("statement", ["lock", "announce", "run"])
async def test_a_connection_that_is_lost_between_two_statements_is_an_outage(
    driver: PostgresDriver, postgres_url: str, statement: str
) -> None:
    """asyncpg takes it away from the unit then, with all that our own class adds."""

    async def unit(transaction: Transaction) -> None:
        lost = asyncio.Event()
        transaction._connection.add_termination_listener(lambda _: lost.set())  # type: ignore[attr-defined]
        ((pid,),) = await transaction.run("SELECT pg_backend_pid()")
        await run(postgres_url, f"SELECT pg_terminate_backend({pid})")
        await lost.wait()
        match statement:
            case "lock":
                await transaction.lock("keys")
            case "announce":
                await transaction.announce()
            case _:
                await transaction.run("SELECT 1")

    with pytest.raises(StoreUnavailable):
        await driver.write(unit)


async def test_an_answer_that_makes_no_sense_is_an_outage(
    driver: PostgresDriver, postgres_proxy: PostgresProxy
) -> None:
    """As from a network that changes bytes: asyncpg tells of it by AssertionError, ValueError and others."""
    sent = b"\0\0\0\x06marker"
    for told in (b"\0\0\x10\x06marker", b"\0\0\0\x06mark\xff\xff", b"\xff\0\0\x06marker"):
        postgres_proxy.replaced = sent, told
        with pytest.raises(StoreUnavailable):
            await driver.read("SELECT 'marker'")
        postgres_proxy.replaced = None
        assert [tuple(row) for row in await driver.read("SELECT 'marker'")] == [("marker",)]
    # Nor does it stay in the cursor, which goes back to the server.
    store = Repositories(driver)
    cursor = (await store.sessions.revocations_since("0")).cursor
    assert not (await store.sessions.revocations_since(cursor)).whole
    assert (await store.sessions.revocations_since(cursor.replace("|", "|k"))).whole


async def test_statements_that_have_vanished_or_changed_are_prepared_anew(
    driver: PostgresDriver, postgres_url: str
) -> None:
    """By DISCARD ALL of a pooler, or a migration of another node."""
    store = Repositories(driver)
    await add_user(store, new_user(1))
    assert await open_session(store, session(10, 1), NOW)
    await driver.read("DEALLOCATE ALL")
    assert await store.sessions.get_session(id_of(10))
    await driver.read("DEALLOCATE ALL")
    assert await open_session(store, session(11, 1), NOW)

    async def unit(transaction: Transaction) -> int:
        return len((await transaction.run("SELECT * FROM users"))[0])

    columns = await driver.write(unit)
    await run(postgres_url, "ALTER TABLE watchword.users ADD COLUMN later TEXT")
    assert await driver.write(unit) == columns + 1
    assert len((await driver.read("SELECT * FROM users"))[0]) == columns + 1


async def test_a_restored_dump_is_read_once_whatever_its_transaction_numbers(
    driver: PostgresDriver, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = (
        "INSERT INTO watchword.revocations (made_by, session_id, forget_at) "
        "SELECT ({} + n)::text::xid8, 'old' || n, 9 FROM generate_series(1, 300) AS n"
    )
    # Ahead by more than 32 bits hold.
    ahead, behind = rows.format("1000000000000000"), rows.format("3")
    await run(postgres_url, ahead, behind)
    store = Repositories(driver)
    # Pages that end where the last one does.
    monkeypatch.setattr(added, "ROWS_IN_A_PAGE", 200)
    whole, found = await read_to_the_end(store, "0")
    assert len({one.session_id for one in found}) == 300
    assert len(found) == 600
    again = await store.sessions.revocations_since(whole.cursor)
    assert (again.whole, again.revocations) == (False, [])

    await add_user(store, new_user(1))
    await open_session(store, session(10, 1), NOW)
    await end_session(store, id_of(10), None, NOW)
    new = await store.sessions.revocations_since(again.cursor)
    assert [found.session_id for found in new.revocations] == [id_of(10)]
    # Into a running server: the table is another one.
    await run(postgres_url, "TRUNCATE watchword.revocations", behind)
    # Pages that do not.
    monkeypatch.setattr(added, "ROWS_IN_A_PAGE", 70)
    first = await store.sessions.revocations_since(new.cursor)
    assert (first.whole, first.more, len(first.revocations)) == (True, True, 70)
    last, others = await read_to_the_end(store, first.cursor)
    assert len({one.session_id for one in others} - {one.session_id for one in first.revocations}) == 230
    assert (await store.sessions.revocations_since(last.cursor)).revocations == []


async def test_reading_all_begins_anew_on_another_server(
    driver: PostgresDriver, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = (
        "INSERT INTO watchword.revocations (session_id, forget_at) SELECT 's' || n, 9 FROM generate_series(1, 9) AS n"
    )
    await run(postgres_url, rows)
    store = Repositories(driver)
    monkeypatch.setattr(added, "ROWS_IN_A_PAGE", 4)
    first = await store.sessions.revocations_since("0")
    # By the time of its start; and a cursor that makes no sense.
    for other in (f"1{first.cursor}", f"{first.cursor}x"):
        again = await store.sessions.revocations_since(other)
        assert (again.whole, again.more) == (True, True)
        assert again.revocations == first.revocations


async def test_of_several_hosts_the_primary_is_found_though_another_says_nothing(
    postgres_server: PostgresServer, postgres_proxy: PostgresProxy, database: str
) -> None:
    dead = PostgresProxy(postgres_server.socket)
    await dead.listen()
    dead.hold(new_too=True)
    first, second = (urlsplit(proxy.url(database)).netloc for proxy in (dead, postgres_proxy))
    driver = await PostgresDriver.open(
        StoreSettings(url=f"postgresql://{first},{second.rpartition('@')[2]}/{database}"), serving=True
    )
    await driver.read("SELECT 1")
    # Neither is the one that has become the primary since.
    dead.release()
    postgres_proxy.hold(new_too=True)
    postgres_proxy.cut()
    with suppress(StoreUnavailable):
        # Whether that it was cut is known yet.
        await driver.read("SELECT 1")
    await driver.read("SELECT 1")
    await driver.close()
    await dead.close()


async def test_sslmode_verify_full_checks_certificate_and_host(
    postgres_proxy: PostgresProxy, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docs/security.md advises it. The TLS is the proxy's, since this PostgreSQL was built without."""
    certificate = tmp_path / "authority.pem"
    postgres_proxy.tls = certified("localhost", certificate)
    url = postgres_proxy.url(database).replace("127.0.0.1", "localhost")

    async def opens(options: str) -> None:
        store = await open_repositories(url + options, serving=True)
        await store.close()

    await opens(f"?sslmode=verify-full&sslrootcert={certificate}")
    # The authorities of the system, as OpenSSL finds them.
    of_the_system = ("?sslmode=verify-full", "?sslmode=verify-full&sslrootcert=system", "?sslrootcert=system")
    for options in of_the_system:
        assert "certificate of PostgreSQL is not trusted" in await refusal(url + options)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    for options in of_the_system:
        await opens(options)
    for options, problem in (
        ("?sslmode=verify-full&sslrootcert=/absent.pem", "/absent.pem is not there"),
        ("?sslmode=verify-ca", "needs sslrootcert="),
        ("?sslmode=full", "sslmode in store.url is none of: disable, allow"),
        ("?sslmode=require&sslcert=/absent.pem", "sslcert in store.url: /absent.pem is not there"),
        ("?sslmode=verify-full&sslcrl=/absent.pem", "sslcrl in store.url: /absent.pem is not there"),
        (f"?sslmode=verify-full&sslrootcert={__file__}", "check the files that sslrootcert="),
        (f"?sslmode=verify-full&sslcert={__file__}&sslkey={__file__}", "check the files that sslrootcert="),
        ("?sslmode=require&sslrootcert=system", "needs sslmode=verify-full"),
    ):
        assert problem in await refusal(url + options)
    by_address = url.replace("localhost", "127.0.0.1")
    assert "certificate of PostgreSQL is not trusted" in await refusal(f"{by_address}?sslmode=verify-full")

    # A certificate that stops fitting while the server runs.
    driver = await PostgresDriver.open(StoreSettings(url=f"{url}?sslmode=verify-full"), serving=True)
    postgres_proxy.tls = certified("localhost", tmp_path / "another.pem")
    postgres_proxy.cut()
    with pytest.raises(StoreUnavailable):
        await driver.write_one("DELETE FROM guesses")
    await driver.close()
