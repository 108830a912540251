"""`mail list` and `mail retry`, while the server runs or not."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from server.repositories import open_repositories
from tests.clock import FakeClock
from tests.in_process import run
from tests.mail.outboxes import invitation, outbox_on, put

MAIL_ON = {
    "WATCHWORD__MAIL__URL": "smtp://127.0.0.1:9",
    "WATCHWORD__MAIL__FROM": "auth@mail.example",
    "WATCHWORD__SERVER__PUBLIC_URL": "https://auth.example",
}


async def _fill(folder: Path) -> list[str]:
    """Two mails that were given up, and one that was never tried. The ids, the newest first."""
    store = await open_repositories(f"sqlite:///{folder}/data/watchword.db", serving=False)
    clock = FakeClock(_now())
    outbox = outbox_on(store, clock)
    for number in range(3):
        clock.advance(1)
        await put(store, outbox, invitation(f"user{number}@example.com"))
    now = clock.now_ms()
    for mail in await store.mail_claims.claim("a", now, 2, newest=False):
        await store.mail_claims.give_up("a", mail.id, now, "RCPT: 550 \x1b[2Jno such user", readable=True)
    found = await store.mails.list_mails(None, 9, "g")
    await store.close()
    return [mail.id for mail in found]


def _now() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def ids(tmp_path: Path) -> list[str]:
    done = run(tmp_path, "users", "create", "--username", "lak", "--role", "customer")
    assert done.returncode == 0, done.stderr
    return asyncio.run(_fill(tmp_path))


def states(folder: Path) -> list[str]:
    done = run(folder, "mail", "list", "--json")
    assert done.returncode == 0, done.stderr
    return [mail["state"] for mail in json.loads(done.stdout)["mails"]]


def test_mails_are_listed_without_what_is_in_them_and_nothing_controls_the_terminal(
    tmp_path: Path, ids: list[str]
) -> None:
    done = run(tmp_path, "mail", "list", "--state", "given_up")
    assert done.returncode == 0
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["id", *ids[1:]]
    assert "RCPT: 550 \\u001b[2Jno such user" in done.stdout
    assert "wwi_" not in done.stdout
    assert run(tmp_path, "mail", "list", "--limit", "1").stdout.count("@example.com") == 1
    assert states(tmp_path) == ["waiting", "given_up", "given_up"]


def test_one_mail_is_tried_again_or_all_that_were_tried(tmp_path: Path, ids: list[str]) -> None:
    done = run(tmp_path, "mail", "retry", ids[2].upper(), **MAIL_ON)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 mail is tried at once\n", "")
    assert states(tmp_path) == ["waiting", "given_up", "waiting"]
    done = run(tmp_path, "mail", "retry", "--all")
    assert (done.returncode, done.stdout) == (0, "2 mails are tried at once\n")
    assert "mail.url is empty" in done.stderr
    assert states(tmp_path) == ["waiting"] * 3
    audit = run(tmp_path, "audit", "list", "--event", "mail_retried", "--json")
    assert len(json.loads(audit.stdout)["events"]) == 3


@pytest.mark.parametrize("arguments", [("01990000-0000-7000-8000-000000000009",), ("x",)])
def test_a_mail_that_is_not_there_is_told_in_a_line(tmp_path: Path, ids: list[str], arguments: tuple[str, ...]) -> None:
    done = run(tmp_path, "mail", "retry", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no such mail." in done.stderr


@pytest.mark.parametrize("arguments", [(), ("x", "--all")])
def test_a_mail_or_all_has_to_be_named(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert run(tmp_path, "mail", "retry", *arguments).returncode == 2
