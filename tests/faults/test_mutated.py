"""Requests that are spoilt at random, sent to a server as its own process.

Whatever bytes arrive: each answer is as the OpenAPI document says, the log has no traceback, and the server goes on.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.faults.fuzzed import faults_in, fuzzed
from tests.faults.good_values import GoodValues
from tests.faults.judging import Judge, Log
from tests.faults.mutation import Exchange, Known, Mutator
from tests.figures import Figures
from tests.listening import free_port
from tests.process.server_process import run
from tests.volume import IS_FULL

_REQUESTS = 33_400 if IS_FULL else 900
_SCRAPES = 1_000 if IS_FULL else 100
_CONNECTIONS = 16
_BATCH = 512 if IS_FULL else 256
_SECONDS = 30
_PAUSE_SECONDS = 0.002
# To send again what failed: MUTATED=number with the seed of the test.
_ONLY = os.environ.get("MUTATED")
_PURE_PYTHON = {"AIOHTTP_NO_EXTENSIONS": "1"}

_RUNS: dict[str, tuple[int, str, bool, dict[str, str]]] = {
    "SQLite": (7519, "sqlite", True, {}),
    "PostgreSQL, python -O": (9112, "postgres", True, {"PYTHONOPTIMIZE": "1"}),
    "SQLite, parser in Python, no mail": (9457, "sqlite", False, _PURE_PYTHON),
}


async def exchanged(address: str, exchange: Exchange) -> bytes:
    """All that the server has to say to it."""
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    found = bytearray()
    try:
        for number, piece in enumerate(exchange.pieces):
            if number:
                await asyncio.sleep(_PAUSE_SECONDS)
            writer.write(piece)
        if exchange.ends:
            writer.write_eof()
        async with asyncio.timeout(_SECONDS):
            while part := await reader.read(2**16):
                found += part
    except TimeoutError:
        raise
    except OSError:
        # The server has closed the connection. What has arrived before is looked at all the same.
        pass
    finally:
        writer.close()
    return bytes(found)


# What is no answer at all, so it fails.
_HANGS = b"nothing more came, and the connection was not closed"


async def send_all(address: str, exchanges: list[Exchange]) -> list[tuple[Exchange, bytes]]:
    waiting = exchanges[::-1]
    done = []

    async def client() -> None:
        while waiting:
            exchange = waiting.pop()
            try:
                done.append((exchange, await exchanged(address, exchange)))
            except TimeoutError:
                done.append((exchange, _HANGS))

    async with asyncio.TaskGroup() as group:
        for _ in range(_CONNECTIONS):
            group.create_task(client())
    return done


@pytest.mark.parametrize("name", _RUNS if IS_FULL else ["SQLite"])
def test_no_bytes_are_too_much(tmp_path: Path, name: str, request: pytest.FixtureRequest, figures: Figures) -> None:
    seed, database, mail, environment = _RUNS[name]
    store_url = f"sqlite:///{tmp_path}/watchword.db"
    if database == "postgres":
        store_url = request.getfixturevalue("migrated_postgres_url")
    with fuzzed(tmp_path, store_url, environment, mail=mail) as (server, log):
        document = server.call("GET", "/openapi.json")[1]
        judge, sent, unanswered, number = Judge(document, Log(log)), 0, 0, 0
        good = GoodValues(server, tmp_path / "mails")
        wrong: list[str] = []
        while sent < _REQUESTS:
            mutator = Mutator(seed, document, good.now(f"{seed}-{number}"))
            exchanges = [mutator.exchange(number + more) for more in range(_BATCH)]
            number += _BATCH
            sent += sum(len(exchange.requests) for exchange in exchanges)
            if _ONLY is not None:
                exchanges = [exchange for exchange in exchanges if exchange.number == int(_ONLY)]
            for exchange, raw in asyncio.run(send_all(server.address, exchanges)):
                try:
                    answers = judge.answers(raw)
                    for answer in answers:
                        judge.check(answer)
                    assert len(answers) <= max(len(exchange.requests), exchange.data.count(b"HTTP/"))
                    unanswered += not answers and not exchange.truncated
                except (AssertionError, KeyError, ValueError) as error:
                    told = f"seed {seed}, MUTATED={exchange.number}: {error!r}"
                    wrong.append(f"{told[:2000]}\nsent {exchange.pieces!r}\ngot {raw[:2000]!r}\n")
            assert not wrong, f"{len(wrong)} of {sent}\n\n" + "\n".join(wrong[:5])
        assert server.call("GET", "/health/ready")[0] == 200
        seen = judge.seen
        assert server.stop() == 0
    assert faults_in(log) == []
    assert run(tmp_path, "audit", "verify", **environment).returncode == 0
    if _ONLY is None:
        # The mutations have reached every corner; if not, this proves little.
        assert {200, 204, 400, 401, 403, 404, 405, 415, 422} <= set(seen), seen
        assert {201, 409} <= set(seen) or not IS_FULL, seen
        # A body that ends before its length, or no request line at all, leaves nobody to answer.
        assert unanswered < number * 0.02, unanswered
    figures.at_most(f"spoilt requests, {name}, of {sent:,}: not as documented", 0, 0)
    figures.told(f"their answers by status, {name}", ", ".join(f"{seen[status]:,} {status}" for status in sorted(seen)))


def test_the_listener_of_the_metrics_bears_it_too(tmp_path: Path) -> None:
    """It has a route, and no log of requests. So its answers are judged by their statuses."""
    port = free_port()
    store_url = f"sqlite:///{tmp_path}/watchword.db"
    with fuzzed(tmp_path, store_url, {"WATCHWORD__METRICS__PORT": str(port)}) as (server, log):
        names = ("refresh_token", "cookie", "token", "reset_token", "invitation_token", "kid")
        document: dict[str, Any] = {"paths": {"/metrics": {"get": {}}, "/": {"get": {}}}}
        mutator = Mutator(26, document, Known(["x.y.z"], {name: ["x"] for name in names}))
        exchanges = [mutator.exchange(number) for number in range(_SCRAPES)]
        seen: Counter[bytes] = Counter()
        for exchange, raw in asyncio.run(send_all(f"http://127.0.0.1:{port}", exchanges)):
            found = re.findall(rb"HTTP/1\.[01] (\d{3}) ", raw)
            assert set(found) <= {b"100", b"200", b"400", b"404", b"405"}, (exchange.number, exchange.data, raw[:2000])
            assert raw != _HANGS, exchange.data
            seen.update(found)
        assert server.stop() == 0
    assert faults_in(log) == []
    assert seen[b"200"] > _SCRAPES / 10
