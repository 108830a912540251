"""`--since` of `audit list` and `audit export`, and what an export proves elsewhere."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from server.audit import search
from server.audit.model import AuditEvent, AuditNote
from server.audit.schemas import audit_json
from server.audit.since import since
from server.core.clock import read_rfc3339
from server.repositories import Repositories
from tests.in_process import run
from tests.running import Api

NOW = 1_790_000_000_000


@pytest.mark.parametrize(
    ("text", "ago"),
    [("0s", 0), ("90s", 90), ("30m", 1800), ("24h", 86400), ("7d", 604800), ("2w", 1209600), (" 7d\n", 604800)],
)
def test_how_long_ago(text: str, ago: int) -> None:
    assert since(text, NOW) == NOW - ago * 1000


@pytest.mark.parametrize("text", ["2026-11-24T08:00:00Z", "2026-11-24 09:00:00.5+01:00", "2026-11-24t08:00:00z"])
def test_a_time(text: str) -> None:
    assert since(text, NOW) == read_rfc3339(text)


@pytest.mark.parametrize(
    "text", ["", "d", "7", "7 d", "-7d", "1.5h", "7y", "\u0667d", "yesterday", "2026-11-24", "2026-11-24T08:00:00",
             "2026-13-24T08:00:00Z", "9" * 30 + "d", "\udce9", "7d7d"],
)  # fmt: skip
def test_what_is_neither_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    for command in ("list", "export"):
        refused = run(tmp_path, "audit", command, "--since", text)
        assert (refused.returncode, refused.stdout) == (2, "")
        (told,) = [line for line in refused.stderr.splitlines() if "Error" in line]
        assert "neither a time like 2026-11-24T08:00:00Z nor how long ago" in told
        assert "Traceback" not in refused.stderr


async def write(store: Repositories, *times: int) -> None:
    for at in times:
        await store.audit.record(AuditNote(AuditEvent.USERS_EXPORTED, at))


async def test_it_begins_with_the_first_record_that_is_not_older_whatever_the_clock_did(
    store: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.audit.chain_audit(b"k" * 32)
    # The last three were written when the clock had been set back.
    await write(store, NOW, NOW + 10, NOW + 10, NOW + 30, NOW + 5, NOW + 6, NOW + 7)
    for parts in (1, 2, 100_000):
        monkeypatch.setattr(search, "_SEARCHED_TOGETHER", parts)
        found = [await store.audit.first_since(NOW + after, 7) for after in (-1, 0, 1, 10, 11, 30, 31)]
        assert found == [1, 1, 2, 2, 4, 4, 8]
    assert await store.audit.first_since(NOW, 0) == 1


def numbers(folder: Path, *arguments: str) -> list[int]:
    exported = run(folder, "audit", "export", *arguments)
    assert exported.returncode == 0, exported.stderr
    return [json.loads(line)["seq"] for line in exported.stdout.splitlines()]


def test_list_and_export_begin_at_the_same_record(tmp_path: Path) -> None:
    for username in ("lak", "john", "david"):
        assert run(tmp_path, "users", "create", "--username", username, "--role", "customer").returncode == 0
    records = json.loads(run(tmp_path, "audit", "list", "--json").stdout)["events"]
    second = records[1]["at"]
    assert numbers(tmp_path, "--since", second) == [2, 3]
    listed = json.loads(run(tmp_path, "audit", "list", "--since", second, "--json").stdout)["events"]
    assert listed == records[:2]
    one = ("--since", second, "--target", "john", "--limit", "1", "--json")
    assert json.loads(run(tmp_path, "audit", "list", *one).stdout)["events"] == records[1:2]
    assert numbers(tmp_path, "--since", "7d") == numbers(tmp_path) == [1, 2, 3]
    assert numbers(tmp_path, "--since", "2126-01-01T00:00:00Z") == []
    written = run(tmp_path, "audit", "export", "out.jsonl", "--since", second)
    assert (written.stdout, (tmp_path / "out.jsonl").stat().st_mode & 0o777) == (
        "2 records written to out.jsonl\n",
        0o600,
    )


def linked(key: bytes, previous: str, line: dict[str, Any]) -> str:
    """The hash of a record as docs/audit.md says how to make it, from a line of an export alone."""
    changes = [line[name] and json.dumps(line[name], separators=(",", ":")) for name in ("before", "after")]
    names = ("event", "actor_id", "actor_name", "target_id", "target_name", "via", "ip", "request_id")
    values = [previous, line["seq"], read_rfc3339(line["at"]), *(line[name] for name in names), *changes]
    text = json.dumps(values, separators=(",", ":"))
    return hmac.new(key, b"watchword audit log\0" + text.encode("ascii"), hashlib.sha256).hexdigest()


async def test_each_line_of_an_export_has_all_that_its_hash_is_made_of(api: Api, tmp_path: Path) -> None:
    await api.services.users.create("j\u00f6hn", "\u202eJ\u00f6hn \U0001f600", "customer", None)
    await api.token("lak")
    await api.request("POST", "/login", json={"username": "lak", "password": "x"})
    await api.services.keys.rotate(at_once=True)
    lines = [
        json.loads(json.dumps(line)) async for page in api.services.audit.pages() for line in map(audit_json, page)
    ]
    assert len(lines) >= 7
    previous = ""
    for line in lines:
        assert line["hash"] == linked(api.services.keys.audit_key, previous, line), line
        previous = line["hash"]
    assert (await api.services.audit.verify(previous)).fault is None
