"""An installation that is well: nothing is wrong, nothing is changed, and nothing is secret in what is said."""

from __future__ import annotations

import hashlib
import os
import re
import resource
from pathlib import Path

import pytest

from server.doctor import machine
from server.doctor.model import size
from tests.doctor.examined import examined
from tests.in_process import run, serving
from tests.running import MASTER_KEY

STORE = "data/watchword.db"


def state(folder: Path) -> dict[str, tuple[str, int, int, int]]:
    """Every file and folder: content, mode, and the times of the last changes."""
    found = {}
    for path in sorted((folder, *folder.rglob("*"))):
        about = path.stat()
        content = "" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path)] = (content, about.st_mode, about.st_mtime_ns, about.st_ctime_ns)
    return found


def made(folder: Path) -> None:
    with serving(folder):
        pass


def test_a_store_that_was_served_is_well_and_stays_as_it_is(tmp_path: Path) -> None:
    made(tmp_path)
    before = state(tmp_path)
    found = examined(tmp_path)
    assert state(tmp_path) == before
    assert (found.code, found.levels("store"), found.levels("keys")) == (0, {"ok"}, {"ok"})
    assert {one["topic"] for one in found.findings} == {
        "versions", "settings", "files", "store", "clock", "keys", "proxies", "address", "listener", "metrics",
        "machine", "mail",
    }  # fmt: skip
    assert any("signs since" in text for text in found.told("ok", "keys"))
    assert any("is next, from" in text for text in found.told("ok", "keys"))
    assert any("free on the file system" in text for text in found.told("ok", "store"))


def test_a_backup_without_lock_files_gets_none(tmp_path: Path) -> None:
    made(tmp_path)
    assert run(tmp_path, "store", "backup", "copy.db").returncode == 0
    (tmp_path / "elsewhere").mkdir()
    for ending in ("", ".key"):
        (tmp_path / f"copy.db{ending}").rename(tmp_path / "elsewhere" / f"watchword.db{ending}")
    before = state(tmp_path / "elsewhere")
    found = examined(tmp_path, WATCHWORD__STORE__URL="sqlite:///elsewhere/watchword.db")
    assert (found.code, found.levels("store")) == (0, {"ok"})
    assert state(tmp_path / "elsewhere") == before


def test_where_there_is_no_store_none_is_made(tmp_path: Path) -> None:
    found = examined(tmp_path)
    (told,) = found.told("warning", "store")
    assert (found.code, f"{tmp_path / STORE}: there is no store yet" in told) == (0, True)
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_nobody_has_served_yet(tmp_path: Path) -> None:
    assert run(tmp_path, "migrate").returncode == 0
    before = state(tmp_path)
    found = examined(tmp_path)
    assert (found.code, found.told("note", "keys")) == (
        0, ["there are none yet: the first start of a server makes them"],
    )  # fmt: skip
    assert run(tmp_path, "users", "create", "--username", "lak", "--role", "customer").returncode == 0
    assert examined(tmp_path).told("note", "keys") == ["no key signs yet: the first start of a server makes it"]
    assert state(tmp_path) != before


def test_beside_a_running_server_it_is_asked_and_not_disturbed(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        port = server.address.rpartition(":")[2]
        before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "data").iterdir()}
        found = examined(tmp_path, WATCHWORD__SERVER__PORT=port)
        assert found.code == 0, found.findings
        assert f"the server at 127.0.0.1 port {port} runs and is ready: it takes writes" in found.told("ok", "listener")
        after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "data").iterdir()}
        # Asked whether it is ready, the server writes one row.
        assert {name for name in after if after[name] != before.get(name)} <= {"watchword.db-wal", "watchword.db-shm"}
        assert server.log_in("admin", server.admin_password())["token"]


def test_after_a_crash_the_log_is_read_and_stays(tmp_path: Path) -> None:
    with serving(tmp_path):
        # As a kill leaves it.
        saved = {path.name: path.read_bytes() for path in (tmp_path / "data").iterdir()}
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for name, content in saved.items():
        (crashed / name).write_bytes(content)
        (crashed / name).chmod(0o600)
    assert (crashed / "watchword.db-wal").stat().st_size > 0
    found = examined(tmp_path, WATCHWORD__STORE__URL="sqlite:///crashed/watchword.db")
    assert (found.code, found.levels("store"), found.levels("keys")) == (0, {"ok"}, {"ok"})
    for name, content in saved.items():
        # The index of the log is made anew by whoever reads it.
        assert name.endswith("-shm") or (crashed / name).read_bytes() == content


def test_what_is_set_is_told_with_its_origin_and_secrets_are_masked(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[tokens]\nissuer = "mine"\n[logs]\nlevel = "info"\n')
    (tmp_path / "config.toml").chmod(0o600)
    (tmp_path / "key").write_text(MASTER_KEY)
    (tmp_path / "key").chmod(0o600)
    changes = {
        "WATCHWORD__KEYS__MASTER_KEY_FILE": "key",
        "WATCHWORD__STORE__URL": "postgresql://u:hush@127.0.0.1:1/d?sslpassword=quiet",
        "WATCHWORD_SERVICE_HOST": "10.0.0.1",
        "WATCHWORD__ROLES__SUPPORT__INCLUDES": "customer",
    }
    printed = run(tmp_path, "doctor", **changes).stdout
    for secret in ("hush", "quiet", MASTER_KEY):
        assert secret not in printed
    lines = [re.split(" +", line, maxsplit=2) for line in printed.splitlines()]
    settings = {text: level for level, topic, text in lines if topic == "settings"}
    config = tmp_path / "config.toml"
    assert settings.pop(f"{config} can be read and is valid") == "ok"
    assert settings.pop("WATCHWORD_SERVICE_HOST is ignored, since a container host has made it") == "note"
    assert settings == {
        f'tokens.issuer = "mine", from {config}': "ok",
        'keys.master_key = "********", from WATCHWORD__KEYS__MASTER_KEY_FILE': "ok",
        'store.url = "postgresql://u:********@127.0.0.1:1/d?sslpassword=********", from WATCHWORD__STORE__URL': "ok",
        "[roles] has other values, from WATCHWORD__ROLES__SUPPORT__INCLUDES": "ok",
        "server.port = 0, from WATCHWORD__SERVER__PORT": "ok",
        "passwords.bcrypt_cost = 4, from WATCHWORD__PASSWORDS__BCRYPT_COST": "ok",
        "passwords.bcrypt_cost = 4 makes stolen hashes cheap to guess": "warning",
    }


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1500, "1.5 KB"),
        (82_000_000_000, "82 GB"),
        (9_900_000_000_000_000, "9900 TB"),
    ],
)
def test_sizes_are_told_for_people(number: int, text: str) -> None:
    assert size(number) == text


def test_few_descriptors_little_memory_and_slow_hashes_are_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    monkeypatch.setattr(machine, "_memory", lambda: 100_000_000)
    changes = {"WATCHWORD__PASSWORDS__BCRYPT_COST": "17", "WATCHWORD__PASSWORDS__HASH_THREADS": "200"}
    found = examined(tmp_path, **changes)
    told = found.told("warning", "machine")
    for part in ("256 descriptors", "of 100 MB of memory", "bcrypt_cost"):
        assert any(part in text for text in told), part
    assert any("200 is more than there are cores" in text for text in found.told("note", "machine"))
    assert found.code == 0


def test_the_memory_of_this_machine_is_known() -> None:
    found = machine._memory()
    assert found is not None
    assert 0 < found <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
