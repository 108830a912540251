"""`migrate` and `serve --no-migrate`, which is for those who migrate by hand."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import asyncpg
import pytest

from server.database.migration_files import Migration, migrations
from tests.in_process import run, serving
from tests.running import MASTER_KEY

LATEST = migrations("sqlite")[-1].version
ADDS = Migration(LATEST + 1, f"{LATEST + 1:04}_adds", "CREATE TABLE later (id TEXT);")
DROPS = Migration(LATEST + 2, f"{LATEST + 2:04}_drops", f"-- contract: needs migration {LATEST + 1}\nDROP TABLE later;")


def knows(patch: pytest.MonkeyPatch, *added: Migration) -> None:
    for place in ("server.database.sqlite.file", "server.database.postgres.schema"):
        patch.setattr(f"{place}.migrations", lambda dialect: [*migrations(dialect), *added])


def settings(store_url: str) -> dict[str, str]:
    return {"WATCHWORD__STORE__URL": store_url, "WATCHWORD__KEYS__MASTER_KEY": MASTER_KEY}


def test_migrate_and_its_check(tmp_path: Path) -> None:
    checked = run(tmp_path, "migrate", "--check")
    assert checked.returncode == 1
    assert "pending  0001_first\n" in checked.stdout
    assert checked.stdout.endswith("there is no store yet\n")
    assert not (tmp_path / "data" / "watchword.db").exists()
    assert "applied  0001" in run(tmp_path, "migrate").stdout
    again = run(tmp_path, "migrate", "--check")
    assert (again.returncode, again.stdout) == (0, "the store is up to date\n")
    printed = json.loads(run(tmp_path, "migrate", "--check", "--json").stdout)
    assert printed == {"up_to_date": True, "servers_go_on": True, "pending": [], "older_servers": []}


def test_what_is_pending_and_whether_servers_go_on(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(tmp_path, "migrate", **settings(store_url)).returncode == 0
    knows(monkeypatch, ADDS)
    added = run(tmp_path, "migrate", "--check", **settings(store_url))
    assert added.returncode == 1
    assert added.stdout == f"pending  {ADDS.name}  (servers go on)\nservers of the previous program go on meanwhile\n"
    knows(monkeypatch, ADDS, DROPS)
    dropped = run(tmp_path, "migrate", "--check", **settings(store_url))
    assert dropped.stdout.endswith(
        f"pending  {DROPS.name}  (servers have to know migration {LATEST + 1})\n"
        f"first stop all servers that do not know migration {LATEST + 1}\n"
    )
    printed = json.loads(run(tmp_path, "migrate", "--check", "--json", **settings(store_url)).stdout)
    assert printed["servers_go_on"] is False
    assert printed["pending"] == [{"name": ADDS.name, "needs": 0}, {"name": DROPS.name, "needs": LATEST + 1}]


def test_who_only_looks_does_not_migrate(tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(tmp_path, "migrate", **settings(store_url)).returncode == 0
    knows(monkeypatch, ADDS)
    for command in (("users", "list"), ("audit", "verify"), ("keys", "rotate")):
        refused = run(tmp_path, *command, **settings(store_url))
        assert refused.returncode == 1
        assert f"needs migrations first ({ADDS.name}); run: python -m server migrate" in refused.stderr
    assert ADDS.name in run(tmp_path, "migrate", "--check", **settings(store_url)).stdout


@pytest.mark.parametrize("store_url", ["postgres"], indirect=True)
def test_servers_of_an_older_program_are_named(tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def start_older() -> None:
        connection = await asyncpg.connect(store_url)
        for name, latest in (("web-1", LATEST), ("web-2", LATEST + 1)):
            await connection.execute(
                "INSERT INTO watchword.nodes VALUES ($1, $1, 17, '0.0.9', $2, '{}', 0, 0, "
                "extract(epoch FROM clock_timestamp()) * 1000)",
                name,
                latest,
            )
        await connection.close()

    assert run(tmp_path, "migrate", **settings(store_url)).returncode == 0
    asyncio.run(start_older())
    knows(monkeypatch, ADDS, DROPS)
    checked = run(tmp_path, "migrate", "--check", **settings(store_url)).stdout
    assert f"running  web-1 (pid 17, version 0.0.9, knows migration {LATEST})\n" in checked
    refused = run(tmp_path, "migrate", **settings(store_url))
    assert refused.returncode == 1
    assert f"still running: web-1 (pid 17, version 0.0.9, knows migration {LATEST}); stop them" in refused.stderr
    assert (refused.stdout, refused.stderr.count("\n")) == ("", 1)
    printed = json.loads(run(tmp_path, "migrate", "--check", "--json", **settings(store_url)).stdout)
    assert [one["name"] for one in printed["pending"]] == [ADDS.name, DROPS.name], "nothing was changed"
    older = {"hostname": "web-1", "pid": 17, "version": "0.0.9", "latest_migration": LATEST}
    assert printed["older_servers"][0] == older


def test_beside_a_server_that_is_up_to_date_there_is_nothing_to_do(tmp_path: Path, store_url: str) -> None:
    with serving(tmp_path, **settings(store_url)):
        for arguments in (("migrate",), ("migrate", "--check")):
            done = run(tmp_path, *arguments, **settings(store_url))
            assert (done.returncode, done.stdout) == (0, "the store is up to date\n")


@pytest.mark.parametrize("arguments", [("migrate", "--json"), ("serve", "--demo", "--no-migrate")])
def test_options_that_do_not_fit_together_are_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    refused = run(tmp_path, *arguments)
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
    assert list(tmp_path.iterdir()) == []
