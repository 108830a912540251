"""The power fails while clients write: whatever part of what was not synced is on the disk, the next start is good.

The file operations of a real server are recorded, and the disk of many moments is made from them (lost_power.py).
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from server.app import open_services
from server.settings import Settings
from server.settings.tree import PasswordSettings, StoreSettings
from tests.faults.lost_power import Disk, Left
from tests.faults.system_calls import Call, calls_of, require_strace, tracer
from tests.figures import Figures
from tests.listening import free_port
from tests.process.acknowledged import Fact
from tests.process.server_process import serving
from tests.process.test_workers import ADDRESS
from tests.process.wholeness import require_facts, require_whole, snapshot_of_file
from tests.process.write_load import SETTINGS, Writers
from tests.volume import IS_FULL

ANSWERS = 400 if IS_FULL else 45
CUTS = 30 if IS_FULL else 4
LIVES = 2 if IS_FULL else 1
WRITERS = 4
# What the first account is acknowledged by.
_LISTENS = b"Watchword listens on"


@dataclass
class Acknowledged:
    """A fact, the call that has told it to a client, and how many of the calls below the folder were done by then."""

    fact: Fact
    answer: Call
    done: int


@dataclass
class Recording:
    """What a server has done below a folder, and what it has acknowledged."""

    root: Path
    workers: int
    calls: list[Call]
    facts: list[Acknowledged]


@pytest.fixture(scope="module", params=[1, 2] if IS_FULL else [1])
def recording(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """From the first start, under clients that write; a server of so many workers is killed, and started again."""
    require_strace()
    folder = tmp_path_factory.mktemp("power")
    root = folder / "site"
    root.mkdir()
    settings = SETTINGS | {
        "WATCHWORD__MAIL__URL": f"file://{root}/mails/out",
        "WATCHWORD__SERVER__WORKERS": str(request.param),
        ADDRESS: str(free_port()),
    }
    writers: Writers | None = None
    played = list[Call]()
    for life in range(1, LIVES + 1):
        trace = folder / f"trace-{life}"
        with serving(root, log_to=folder / "log", module="server", under=tracer(trace), **settings) as server:
            if writers is None:
                writers = Writers(server.address, server.log_in("admin", server.admin_password())["token"])
            asyncio.run(_write(writers, root / "data" / "watchword.db", ANSWERS * life // LIVES))
            # Nothing is under way then, and the log is not written back.
            server.process.kill()
            server.process.wait()
            pid = server.process.pid
        behind = played[-1].ended + 1 if played else 0
        played += [
            replace(call, began=call.began + behind, ended=call.ended + behind) for call in calls_of(trace, pid, root)
        ]
    assert writers is not None
    return Recording(root, request.param, *_told(root, played, writers.known.facts))


def _told(root: Path, played: list[Call], facts: list[Fact]) -> tuple[list[Call], list[Acknowledged]]:
    """The calls below the folder, and what was acknowledged by others."""
    disk = Disk(root)
    calls, acknowledged = list[Call](), list[Acknowledged]()
    waiting: dict[bytes, list[Fact]] = {}
    for fact in facts:
        waiting.setdefault(fact.request_id.encode(), []).append(fact)
    for call in played:
        if disk.concerns(call):
            calls.append(call)
        elif call.texts:
            told = waiting.pop(_request_id(call.texts[0]), [])
            if _LISTENS in call.texts[0] and not acknowledged:
                told = [Fact("", "user_created", "admin")]
            acknowledged += [Acknowledged(fact, call, len(calls)) for fact in told]
    # The call that sent the last answer of a process may not have returned when it was killed, though it was received.
    assert len(waiting) <= LIVES * WRITERS, "each answer is in the trace"
    return calls, acknowledged


def _request_id(answer: bytes) -> bytes:
    _, _, rest = answer.partition(b"X-Request-Id: ")
    return rest.partition(b"\r\n")[0]


async def _write(writers: Writers, path: Path, until: int) -> None:
    async with writers.opened(), writers.writing(WRITERS):
        while writers.known.answers < until:
            await writers.some_answers(15)
            # Somebody who reads for long, as a backup does, keeps checkpoints from coming to the end of the log.
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)) as reader:
                reader.execute("BEGIN")
                reader.execute("SELECT count(*) FROM users").fetchone()
                await writers.some_answers(30)


async def start(root: Path, name: str = "data/watchword.db") -> str:
    """As a server does it after the power is back. What `audit verify` finds."""
    settings = Settings(store=StoreSettings(url=f"sqlite:///{root}/{name}"), passwords=PasswordSettings(bcrypt_cost=4))
    async with open_services(settings, serving=True) as services:
        verdict = await services.audit.verify()
        return "" if verdict.fault is None else str(verdict.fault)


def _delicate(calls: list[Call]) -> set[int]:
    """When the log begins, at the end of each checkpoint, and after what is noted of it in the lock file."""
    found = {next(number for number, call in enumerate(calls, 1) if call.path.endswith("-wal") and call.numbers)}
    for number, call in enumerate(calls, 1):
        if call.name == "pwrite64" and call.path.endswith(".db") and calls[number].path != call.path:
            found.add(number)
        if call.name == "write" and call.path.endswith(".write-lock"):
            found.add(number)
    return found


def test_each_answer_waits_until_its_change_is_on_the_disk(recording: Recording) -> None:
    """Its bytes are written into the log, then the log is synced, and that has returned when the answer is sent."""
    log = [call for call in recording.calls if call.path.endswith(".db-wal")]
    syncs = [call for call in log if call.name == "fdatasync"]
    told_before: dict[str, int] = {}
    checked = set()
    for one in recording.facts[1:]:
        # The audit record has the id of the request; a refresh, which makes none, writes the row of the session.
        mark = (one.fact.subject if one.fact.what == "step" else one.fact.request_id).encode()
        since = told_before.get(one.fact.subject, 0) if one.fact.what == "step" else 0
        told_before[one.fact.subject] = one.answer.ended
        written = next(call for call in log if call.name == "pwrite64" and call.began > since and mark in call.texts[0])
        assert any(written.ended < sync.began and sync.ended < one.answer.began for sync in syncs), one.fact
        checked.add(one.fact.what)
    assert checked >= {"user_created", "user_changed", "user_deleted", "login_succeeded", "login_failed", "logged_out"}
    assert checked >= {"step", "sessions_ended", "password_changed", "invitation_created", "invitation_used", "mail"}
    assert checked >= {"keys_rotated", "reauthenticated", "user_renamed", "password_reset"}


def test_whatever_was_not_synced_the_next_start_has_all_that_was_acknowledged(
    recording: Recording, found: Path, figures: Figures
) -> None:
    chance = random.Random(1)
    delicate = _delicate(recording.calls)
    moments = {chance.randrange(len(recording.calls) + 1) for _ in range(CUTS)} | delicate
    # The first start, until it has said that it listens.
    moments |= {chance.randrange(recording.facts[0].done + 1) for _ in range(CUTS // 2)}
    disk, played, tried, lost, facts = Disk(recording.root), 0, 0, 0, 0
    for moment in sorted(moments):
        for call in recording.calls[played:moment]:
            disk.play(call)
        played = moment
        acknowledged = [one.fact for one in recording.facts if one.done <= moment]
        for left in (*Left, *([Left.SOME, Left.TORN] if moment in delicate else [])):
            found.mkdir()
            disk.leave(left, chance, found)
            where = f"{left} at {moment}"
            assert asyncio.run(start(found)) == "", where
            snapshot = snapshot_of_file(found / "data" / "watchword.db")
            if snapshot.of("user_created"):
                require_whole(snapshot)
            require_facts(snapshot, acknowledged)
            shutil.rmtree(found)
            tried += 1
        lost += disk.unsynced()
        facts += len(acknowledged)
    assert facts
    what = f"power loss, workers: {recording.workers}"
    figures.told(f"{what}: disks after a failure, all of them whole and with all that was acknowledged", tried)
    figures.told(f"{what}: operations that were not synced, at a moment on average", lost / len(moments))
