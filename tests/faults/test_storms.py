"""Storms, as `python -m tests.bench.storms` measures them, here for what is not a time.

Who is refused hears so in the documented way, whoever is not refused is served rightly, and afterwards nothing is left
of it: the next login works at once, and memory is as it was.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.bench import attacks
from tests.bench.load import get
from tests.bench.storming import Answer, Checked, Source, Storm, Told, check_for, storm_for
from tests.bench.storms import memory_mb
from tests.figures import Figures
from tests.process.server_process import DEADLINE_SECONDS, ServerProcess, serving
from tests.running import MASTER_KEY
from tests.volume import IS_FULL

SECONDS = 2.0 if IS_FULL else 0.15
PASSES = 3 if IS_FULL else 2
# What a server keeps for good reasons: verified tokens, prepared statements, the heap of the busiest moment.
GROWTH_MB = 25.0
# Few may wait for a hash, so that many are refused. On a busy machine minutes may pass until a refresh token that was
# used at the end of the first storm, whose answer nobody has read, comes again in the second one.
FEW = {
    "WATCHWORD__SESSIONS__RETRY_WINDOW_SECONDS": "300",
    "WATCHWORD__PASSWORDS__BCRYPT_COST": "6",
    "WATCHWORD__PASSWORDS__HASH_THREADS": "1",
    "WATCHWORD__PASSWORDS__HASH_QUEUE": "8",
    "WATCHWORD__LIMITS__ADDRESS_GUESSES_PER_HOUR": "5",
}
STORES = ["sqlite", "postgres"] if IS_FULL else ["sqlite"]


def _listening(source: Source, tokens: list[str]) -> Source:
    """The same, which keeps the access tokens of answers."""

    def listen(answer: Answer | None) -> bytes:
        if answer is not None and answer.status == 200:
            tokens.append(json.loads(answer.body)["token"])
        return source(answer)

    return listen


async def _both(
    server: ServerProcess, storm: Storm, checked: list[bytes], seconds: float = SECONDS
) -> tuple[Told, Checked]:
    told = Told()
    _, found = await asyncio.gather(
        storm_for(server.address, storm, SECONDS, told),
        check_for(server.address, server.process.pid, checked, SECONDS),
    )
    return told, found


@pytest.mark.parametrize("store", STORES)
def test_storms_are_refused_in_words_and_leave_nothing_behind(
    store: str, tmp_path: Path, request: pytest.FixtureRequest, figures: Figures
) -> None:
    url = f"sqlite:///{tmp_path}/watchword.db"
    if store == "postgres":
        url = request.getfixturevalue("migrated_postgres_url")
    settings = {
        **attacks.SETTINGS,
        **FEW,
        "WATCHWORD__STORE__URL": url,
        "WATCHWORD__KEYS__MASTER_KEY": MASTER_KEY,
        "WATCHWORD__MAIL__URL": f"file://{tmp_path}/mails",
    }
    prepared = attacks.prepare(tmp_path, settings, cost=6)
    checked, given = [get("/verify", token) for token in prepared.tokens], list[str]()
    storms = attacks.storms(prepared)
    logins = storms[0]
    storms[0] = Storm(logins.name, [_listening(one, given) for one in logins.sources], logins.statuses)
    statuses: dict[str, Counter[int]] = {storm.name: Counter() for storm in storms}
    memory = []
    with serving(tmp_path, log_to=None, module="server", **settings) as server:
        for _ in range(PASSES):
            for storm in storms:
                told, beside = asyncio.run(_both(server, storm, checked))
                assert (storm.name, told.wrong, told.cut_off) == (storm.name, [], 0)
                assert (storm.name, beside.wrong) == (storm.name, [])
                assert len(beside.latencies) == int(SECONDS * 200)
                statuses[storm.name] += told.statuses
                # It has recovered at once.
                assert server.log_in("to0", attacks.PASSWORD)["token"]
            memory.append(memory_mb(server))
        throttled, deadline = 0, time.monotonic() + DEADLINE_SECONDS
        while not throttled:
            told, beside = asyncio.run(_both(server, attacks.from_one_address(storms[1]), checked))
            assert (told.wrong, beside.wrong) == ([], [])
            throttled += told.statuses[429]
            assert time.monotonic() < deadline, "one attacker is not throttled"
        refused = [token for token in given if server.call("GET", "/verify", token=token)[0] != 204]
        assert refused == []
        log = server.log()
        assert server.stop() == 0
    assert "Traceback" not in log
    assert "request failed" not in log
    for name, counted in statuses.items():
        assert set(counted) - {429, 503}, f"all were refused: {name}"
        figures.told(f"{store}: {name}, answers", ", ".join(f"{count} of {code}" for code, count in counted.items()))
    assert statuses["logins"][503] > 0
    growth = memory[-1] - memory[0]
    figures.at_most(f"{store}: memory after storms, beside {memory[0]:.0f} MB after the first", growth, GROWTH_MB, "MB")
    assert growth < GROWTH_MB
