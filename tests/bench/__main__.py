"""`make bench`: what a checked request costs beside a bare aiohttp handler, in the same run.

Two server processes, both on uvloop: a bare aiohttp application with one handler, and Watchword as users start it, with
its log written to /dev/null. The figure is requests per second of the server's own CPU time (utime + stime of
/proc/PID/stat), so the load generator and whatever else the machine does count less. The targets take turns in every
round, and the ratio of a round compares neighbours; medians are over the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import uvloop
from rich.console import Console
from rich.table import Table

from tests.process.server_process import ServerProcess, serving

CONNECTIONS = 64


class Connection(asyncio.Protocol):
    """Sends a request, waits for the answer, sends the next: a keep-alive client as fast as the server lets it be."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._load.next_request())

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or len(body) < _content_length(head):
            return
        self._received = b""
        if self._load.count(head):
            self._transport.write(self._load.next_request())
        else:
            self._transport.close()


def _content_length(head: bytes) -> int:
    place = head.lower().find(b"content-length:")
    return 0 if place < 0 else int(head[place + 15 :].partition(b"\r\n")[0])


class Load:
    """A number of requests, given out in turn; every answer must have the status asked for."""

    def __init__(self, requests: list[bytes], total: int, status: bytes) -> None:
        self._requests = requests
        self._left = total
        self._sent = 0
        self._status = status
        self.done = asyncio.Event()
        self.failed: bytes | None = None

    def next_request(self) -> bytes:
        request = self._requests[self._sent % len(self._requests)]
        self._sent += 1
        return request

    def count(self, head: bytes) -> bool:
        if head[9:12] != self._status:
            self.failed = head
            self.done.set()
            return False
        self._left -= 1
        if self._left <= 0:
            self.done.set()
        return self._left > 0


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _fire(address: str, load: Load) -> None:
    host, _, port = address.removeprefix("http://").partition(":")
    loop = asyncio.get_running_loop()
    transports = [
        (await loop.create_connection(lambda: Connection(load), host, int(port)))[0] for _ in range(CONNECTIONS)
    ]
    await asyncio.wait_for(load.done.wait(), 120)
    for transport in transports:
        transport.close()
    if load.failed is not None:
        raise SystemExit(f"unexpected answer: {load.failed.decode('latin-1')}")


def measure(address: str, pid: int, requests: list[bytes], total: int, status: str) -> float:
    """Requests a second and core."""
    before = cpu_seconds(pid)
    uvloop.run(_fire(address, Load(requests, total, status.encode())))
    return total / max(cpu_seconds(pid) - before, 1e-9)


def get(path: str, token: str | None = None) -> bytes:
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n{authorization}\r\n".encode()


@contextlib.contextmanager
def bare_server() -> Iterator[tuple[str, int]]:
    """The peer: tests/bench/bare.py."""
    with subprocess.Popen([sys.executable, "-m", "tests.bench.bare"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process.pid
        finally:
            process.terminate()


def make_tokens(server: ServerProcess, password: str, count: int) -> list[str]:
    """Tokens of as many logins. Cost 4, so ten thousand take half a minute."""
    return [server.log_in("admin", password)["token"] for _ in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=20000, help="for each target and round")
    parser.add_argument("--tokens", type=int, default=10000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, bare_server() as (bare_address, bare_pid):
        # Tokens must live as long as the run.
        changes = {"WATCHWORD__TOKENS__ACCESS_TTL_SECONDS": "86400", "WATCHWORD__LOGS__FORMAT": "json"}
        with serving(Path(folder), log_to=Path(os.devnull), **changes) as server:
            password = server.admin_password()
            started = time.monotonic()
            tokens = make_tokens(server, password, options.tokens)
            print(f"{len(tokens)} logins in {time.monotonic() - started:.0f} s", flush=True)
            me = server.call("GET", "/me", token=tokens[0])[1]["user"]["id"]
            targets = {
                "GET /verify, one token": ([get("/verify", tokens[0])], "204"),
                f"GET /verify, {len(tokens)} tokens in turn": ([get("/verify", token) for token in tokens], "204"),
                "GET /users/{id}, one token": ([get(f"/users/{me}", tokens[0])], "200"),
                f"GET /users/{{id}}, {len(tokens)} tokens in turn": (
                    [get(f"/users/{me}", token) for token in tokens],
                    "200",
                ),
            }
            # The same bytes as the checked requests bring.
            bare = [get("/", tokens[0])]
            for requests, status in targets.values():  # warm: every token verified once
                measure(server.address, server.process.pid, requests, max(len(requests), 2000), status)
            measure(bare_address, bare_pid, bare, 5000, "200")
            figures: dict[str, list[float]] = {name: [] for name in ("bare aiohttp handler", *targets)}
            ratios: dict[str, list[float]] = {name: [] for name in targets}
            for _ in range(options.rounds):
                for name, (requests, status) in targets.items():
                    before = measure(bare_address, bare_pid, bare, options.requests, "200")
                    checked = measure(server.address, server.process.pid, requests, options.requests, status)
                    after = measure(bare_address, bare_pid, bare, options.requests, "200")
                    figures["bare aiohttp handler"] += [before, after]
                    figures[name].append(checked)
                    ratios[name].append(checked / ((before + after) / 2))
    report(figures, ratios)


def report(figures: dict[str, list[float]], ratios: dict[str, list[float]]) -> None:
    table = Table("", "requests / s / core", "of bare", "rounds from - to", box=None, pad_edge=False)
    for name, values in figures.items():
        ratio = ratios.get(name)
        share = f"{statistics.median(ratio):.2f}" if ratio else "1.00"
        spread = f"{min(ratio):.2f} - {max(ratio):.2f}" if ratio else ""
        table.add_row(name, f"{statistics.median(values):,.0f}", share, spread)
    Console().print(table)


if __name__ == "__main__":
    main()
