"""What a verification costs by algorithm, first and remembered, beside PyJWT alone; and what a flood does to others.

The flood are tokens with unknown keys. Part of `make bench`.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jwt
from rich.console import Console
from rich.table import Table

from server.keys.signer import Signer
from tests.bench.load import get
from tests.clock import FakeClock
from tests.forging import ALGORITHMS, AUDIENCE, CLAIMS, ISSUER, Keys, base64url, signing_key, verification_key
from tests.process.server_process import ServerProcess
from watchword_client.jwk import KeySet
from watchword_client.token_verifier import TokenVerifier

UNKNOWN_TOKENS = 10_000
FLOODERS = 32
PROBES = 8


def costs(rounds: int, tokens: int) -> None:
    """Microseconds a token: medians over the rounds, the three measured next to each other in each."""
    titles = ("verification, µs a token", "PyJWT alone", "first", "remembered", "first / PyJWT")
    table = Table(*titles, box=None, pad_edge=False)
    for algorithm in ALGORITHMS:
        measured = [_round(algorithm, tokens) for _ in range(rounds)]
        plain, first, again = (statistics.median(one[place] for one in measured) for place in range(3))
        ratio = statistics.median(one[1] / one[0] for one in measured)
        table.add_row(algorithm, f"{plain:.1f}", f"{first:.1f}", f"{again:.2f}", f"{ratio:.2f}")
    Console(soft_wrap=True).print(table)
    print(flush=True)


def _round(algorithm: str, count: int) -> tuple[float, float, float]:
    key = signing_key(algorithm)
    public = verification_key(key)
    signer = Signer(Keys(key))
    texts = [signer.sign(replace(CLAIMS, jti=f"{number}")) for number in range(count)]
    verifier = TokenVerifier(KeySet([public]), issuer=ISSUER, audience=AUDIENCE, clock=FakeClock())
    options: Any = {"verify_exp": False, "verify_iat": False}

    def alone(token: str) -> object:
        material = public.material
        return jwt.decode(token, material, [algorithm], options, issuer=ISSUER, audience=AUDIENCE)

    def whole(token: str) -> object:
        coroutine = verifier.verify(token)
        try:
            coroutine.send(None)
        except StopIteration as end:
            return end.value
        raise AssertionError("keys at hand are not waited for")

    return _each(alone, texts), _each(whole, texts), _each(whole, texts)


def _each(work: Callable[[str], object], texts: Sequence[str]) -> float:
    started = time.perf_counter()
    for text in texts:
        work(text)
    return (time.perf_counter() - started) / len(texts) * 1e6


class _Asker:
    """A connection that sends a request, waits for its answer, and notes how long that took, in milliseconds."""

    def __init__(self, address: str, requests: Sequence[bytes], status: bytes) -> None:
        self._host, _, self._port = address.removeprefix("http://").partition(":")
        self._requests = requests
        self._status = status
        self.latencies: list[float] = []

    async def ask(self, over: asyncio.Event | None = None) -> None:
        """All requests once; or over and over until that event."""
        reader, writer = await asyncio.open_connection(self._host, int(self._port))
        while True:
            for request in self._requests:
                started = time.perf_counter()
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
                )
                await reader.readexactly(length)
                self.latencies.append((time.perf_counter() - started) * 1000)
                if head[9:12] != self._status:
                    raise SystemExit(f"unexpected answer: {head.decode('latin-1')}")
            if over is None or over.is_set():
                break
        writer.close()


async def flood(server: ServerProcess, rounds: int) -> None:
    """Milliseconds of a checked request: beside a flood of tokens with unknown keys, and of good ones, as many."""
    token = server.log_in("admin", server.admin_password())["token"]
    good = get("/verify", token)
    unknown = [get("/verify", _with_kid(token, f"unknown {number}")) for number in range(UNKNOWN_TOKENS)]
    storms = {"tokens with unknown keys": (unknown, b"401"), "good tokens": ([good] * UNKNOWN_TOKENS, b"204")}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in storms}
    for _ in range(rounds):
        for name, (requests, status) in storms.items():
            over = asyncio.Event()
            probes = [_Asker(server.address, [good], b"204") for _ in range(PROBES)]
            flooders = [_Asker(server.address, requests[number::FLOODERS], status) for number in range(FLOODERS)]
            probing = [asyncio.create_task(probe.ask(over)) for probe in probes]
            await asyncio.gather(*(flooder.ask() for flooder in flooders))
            over.set()
            await asyncio.gather(*probing)
            latencies = sorted(latency for probe in probes for latency in probe.latencies)
            found[name].append((statistics.median(latencies), latencies[len(latencies) * 99 // 100]))
    table = Table(f"checked requests beside {UNKNOWN_TOKENS:,}", "p50 ms", "p99 ms", box=None, pad_edge=False)
    for name, pairs in found.items():
        middle, tail = (statistics.median(pair[place] for pair in pairs) for place in range(2))
        table.add_row(name, f"{middle:.2f}", f"{tail:.2f}")
    Console(soft_wrap=True).print(table)
    ratios = [bad[1] / fine[1] for bad, fine in zip(*found.values(), strict=True)]
    print(f"p99 of the two, ratio: {statistics.median(ratios):.2f}\n", flush=True)


def _with_kid(token: str, kid: str) -> str:
    header = {"typ": "at+jwt", "alg": "ES256", "kid": kid}
    return ".".join([base64url(json.dumps(header).encode()), *token.split(".")[1:]])
