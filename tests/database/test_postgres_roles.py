"""The roles of docs/postgresql.md: one that owns the tables, and one that serves with no right beyond their rows."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import asyncpg
import pytest

from server.background import purge
from server.core.errors import StoreRefused, StoreUnavailable
from server.database.migration_files import Migration, migrations
from server.database.open import apply_migrations, open_driver
from server.database.postgres import schema
from server.database.postgres.condition import condition_of
from server.settings.tree import StoreSettings
from tests.postgres import PostgresServer
from tests.running import PASSWORD, StartApi

DOCUMENT = Path(__file__).parents[2] / "docs" / "postgresql.md"


class Roles(NamedTuple):
    """URLs of one database for its two roles, and the SQL that is for after the migrations."""

    owner: str
    serving: str
    later: str


async def execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(sql)
    await connection.close()


@pytest.fixture
async def roles(postgres_server: PostgresServer, postgres_url: str) -> AsyncIterator[Roles]:
    database = urlsplit(postgres_url).path[1:]
    # The roles belong to all databases of the server, and so to all tests.
    serving = f"serving_{database}"
    blocks = re.findall(r"```sql\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    first, later = (
        re.sub(r"(ROLE|TO|FROM|AUTHORIZATION) watchword\b(?!\.)", rf"\1 {serving}", sql).replace(
            "watchword_owner", f"{serving}_owner"
        )
        for sql in blocks
    )
    await execute(postgres_url, f"{first} REVOKE ALL ON DATABASE {database} FROM PUBLIC")
    await execute(postgres_url, f"GRANT CONNECT ON DATABASE {database} TO {serving}, {serving}_owner")
    yield Roles(
        postgres_url.replace("//postgres:", f"//{serving}_owner:"),
        postgres_url.replace("//postgres:", f"//{serving}:"),
        later,
    )
    await execute(postgres_url, f"DROP OWNED BY {serving}, {serving}_owner; DROP ROLE {serving}, {serving}_owner")


@pytest.mark.parametrize("store_url", ["postgres"], indirect=True)
async def test_a_role_that_can_only_change_rows_serves(roles: Roles, start_api: StartApi) -> None:
    assert await apply_migrations(roles.owner)
    await execute(roles.owner, roles.later)
    api = await start_api(url=roles.serving)
    assert (await api.request("GET", "/health/ready")).status == 200
    admin, login = await api.token("sahan"), await api.log_in("lak")
    refreshed = await api.request("POST", "/refresh", json={"refresh_token": login["refresh_token"]})
    assert refreshed.status == 200
    new = {"username": "ada", "name": "Ada", "role": "customer"}
    made = await api.request("POST", "/users", admin, json=new)
    assert made.status == 201
    user_id = (await made.json())["user"]["id"]
    for method, path, body in (
        ("GET", "/users?q=ad", None),
        ("PATCH", f"/users/{user_id}", {"role": "admin"}),
        ("POST", f"/users/{user_id}/password-reset", None),
        ("PATCH", f"/users/{user_id}", {"disabled": True}),
        ("DELETE", f"/users/{user_id}", None),
        ("GET", "/audit", None),
        ("POST", "/logout", None),
    ):
        answer = await api.request(method, path, admin, json=body)
        assert answer.status in {200, 201, 204}, await answer.text()
    services = api.services
    await services.keys.rotate(at_once=True)
    await services.keys.replace()
    await services.sessions.repair_future_times()
    await purge(services.repositories, services.clock)
    await services.nodes.beat()
    assert [node.id for node in await services.repositories.nodes.live()]
    condition = await condition_of(services.repositories.driver)
    assert (condition.without_rights, condition.may_make_tables) == ("", False)
    wrong = await api.request("POST", "/login", json={"username": "lak", "password": PASSWORD + "x"})
    assert wrong.status == 400, await wrong.text()
    for refused in (
        "CREATE TABLE x (id INT)",
        "TRUNCATE users",
        "UPDATE audit_events SET ip = ''",
        "DELETE FROM schema_migrations",
    ):
        with pytest.raises(StoreUnavailable) as caught:
            await services.repositories.driver.write_one(refused)
        assert "permission denied" in str(caught.value.reason)


async def test_a_role_that_may_not_migrate_says_which_migrations_are_pending(
    roles: Roles, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await apply_migrations(roles.owner)
    await (await open_driver(roles.serving, serving=True)).close()
    known = migrations("postgres")
    later = Migration(known[-1].version + 1, f"{known[-1].version + 1:04}_later", "ALTER TABLE users ADD later TEXT;")
    monkeypatch.setattr(schema, "migrations", lambda _: [*known, later])
    with pytest.raises(StoreRefused, match=rf"may not run migration {later.name}.*one that owns the schema"):
        await open_driver(roles.serving, serving=True)
    with pytest.raises(StoreRefused, match=later.name):
        await open_driver(roles.serving, serving=True, migrating=False)
    assert await apply_migrations(roles.owner) == [later.name]
    await (await open_driver(StoreSettings(url=roles.serving), serving=True)).close()


async def test_a_role_without_any_right_is_refused_in_a_line(roles: Roles) -> None:
    # It may neither make the schema nor look into it.
    await execute(roles.owner, f"REVOKE USAGE ON SCHEMA watchword FROM {urlsplit(roles.serving).username}")
    with pytest.raises(StoreRefused, match=r"permission denied|may not run"):
        await open_driver(roles.serving, serving=True)
    await apply_migrations(roles.owner)
    with pytest.raises(StoreRefused, match=r"permission denied.*rights of its user"):
        await open_driver(roles.serving, serving=True)
