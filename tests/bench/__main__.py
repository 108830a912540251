"""`make bench`: what checked requests and refreshes cost beside a bare aiohttp handler, in the same run.

What one request costs at the least is in cost.py. Below are rates over many rounds, with one token and with many.

All servers are processes on uvloop: a bare aiohttp application; Watchword as users start it, with its log written to
/dev/null; and Watchword with one commit for each write. Per core: requests per second of the server's own CPU time, all
its threads, so the load generator and whatever else the machine does count less. In every round a bare measurement
stands before and behind a checked one, and the ratio of a round compares these neighbours; medians are over the rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

from tests.bench.beside import beside_peers
from tests.bench.cost import cost
from tests.bench.load import CONNECTIONS, Client, Rate, chain, get, in_turn, post
from tests.bench.mail_timing import mail_timing
from tests.bench.outbox import outbox
from tests.bench.pages import pages
from tests.bench.plain import plain_server
from tests.bench.sign_up_timing import sign_up_timing
from tests.bench.storms import storms
from tests.bench.timing import timing
from tests.bench.verification import costs, flood
from tests.bench.workers import workers
from tests.listening import free_port
from tests.process.server_process import ServerProcess, serving
from tests.tracing.collector import collecting

PARTS = (
    "peers",
    "cost",
    "workers",
    "checked",
    "refresh",
    "verification",
    "timing",
    "mails",
    "outbox",
    "pages",
    "storms",
)
# Tokens must live as long as the run.
SETTINGS = {"WATCHWORD__TOKENS__ACCESS_TTL_SECONDS": "86400", "WATCHWORD__LOGS__FORMAT": "json"}


@dataclass
class Series:
    """The rounds of one target, with the bare rates around each."""

    name: str
    client: Client
    bare_client: Client
    rates: list[Rate] = field(default_factory=list)
    bare: list[Rate] = field(default_factory=list)

    async def play(self, total: int) -> None:
        before = await self.bare_client.measure(total)
        self.rates.append(await self.client.measure(total))
        after = await self.bare_client.measure(total)
        self.bare.append(Rate((before.per_core + after.per_core) / 2, (before.per_second + after.per_second) / 2))


@contextlib.contextmanager
def observed_servers(folder: str) -> Iterator[dict[str, ServerProcess]]:
    """Watchword as it is, with metrics, and with a span of each request and of a hundredth of them."""
    with contextlib.ExitStack() as stack:
        traces = {"OTEL_EXPORTER_OTLP_ENDPOINT": stack.enter_context(collecting()).endpoint}
        kinds = {
            "Watchword": {},
            "with metrics": {"WATCHWORD__METRICS__PORT": str(free_port())},
            "with traces": traces,
            "with 1 % traces": traces
            | {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"},
        }
        yield {
            name: stack.enter_context(
                serving(new_folder(folder, name), log_to=Path(folder) / f"log {name}", **SETTINGS, **changes)
            )
            for name, changes in kinds.items()
        }


def new_folder(folder: str, name: str) -> Path:
    """For a server with a store of its own."""
    made = Path(folder) / name
    made.mkdir()
    return made


def logins(server: ServerProcess, count: int, member: str) -> list[str]:
    """Tokens of as many sessions. Cost 4, so ten thousand take a minute."""
    password = server.admin_password()
    return [server.log_in("admin", password)[member] for _ in range(count)]


def checked_requests(server: ServerProcess, bare: tuple[str, int], count: int) -> list[Series]:
    """Reading routes, with one token and with many in turn."""
    tokens = logins(server, count, "token")
    me = server.call("GET", "/me", token=tokens[0])[1]["user"]["id"]
    found = []
    for path, name, status in (("/verify", "/verify", 204), (f"/users/{me}", "/users/{id}", 200)):
        for some, what in ((tokens[:1], "one token"), (tokens, f"{count} tokens in turn")):
            client = Client(server.address, server.process.pid, [in_turn([get(path, token) for token in some])], status)
            # The same bytes as the checked requests bring.
            bare_client = Client(*bare, [in_turn([get("/", token) for token in some])], 200)
            found.append(Series(f"GET {name}, {what}", client, bare_client))
    return found


def refreshes(name: str, server: ServerProcess, bare: tuple[str, int]) -> Series:
    """64 clients, each with a session of its own."""
    tokens = logins(server, CONNECTIONS, "refresh_token")
    client = Client(server.address, server.process.pid, [chain(token) for token in tokens], 200)
    bare_client = Client(*bare, [in_turn([post("/", {"refresh_token": token}) for token in tokens])], 200)
    return Series(name, client, bare_client)


async def play(series: list[Series], rounds: int, total: int, warm: int) -> None:
    for one in series:
        await one.client.open()
        await one.bare_client.open()
        # Every token is verified once, every statement prepared.
        await one.client.measure(warm)
        await one.bare_client.measure(total)
    for _ in range(rounds):
        for one in series:
            await one.play(total)
    for one in series:
        one.client.close()
        one.bare_client.close()


def report(title: str, series: list[Series], kind: str) -> None:
    table = Table(title, kind, "bare", "of bare", "rounds from - to", box=None, pad_edge=False)
    attribute = "per_core" if "core" in kind else "per_second"
    for one in series:
        rates = [getattr(rate, attribute) for rate in one.rates]
        bare = [getattr(rate, attribute) for rate in one.bare]
        ratios = [rate / peer for rate, peer in zip(rates, bare, strict=True)]
        table.add_row(
            one.name,
            f"{statistics.median(rates):,.0f}",
            f"{statistics.median(bare):,.0f}",
            f"{statistics.median(ratios):.2f}",
            f"{min(ratios):.2f} - {max(ratios):.2f}",
        )
    Console(soft_wrap=True).print(table)
    print(flush=True)


def _alone(options: argparse.Namespace, folder: str, total: int) -> None:
    """The parts that are not compared with a bare handler."""
    if options.only in {None, "timing"}:
        timing(new_folder(folder, "timing"), options.tries)
        sign_up_timing(new_folder(folder, "sign-up"), options.tries * 10)
    if options.only in {None, "mails"}:
        mail_timing(new_folder(folder, "mails"), options.tries * 10)
    if options.only in {None, "outbox"}:
        outbox(new_folder(folder, "outbox"), options.rounds, options.waiting)
    if options.only in {None, "pages"}:
        pages(new_folder(folder, "pages"), options.rounds)
    if options.only in {None, "storms"}:
        storms(min(options.rounds, 3))
    if options.only in {None, "workers"}:
        workers(options.rounds, total)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--requests", type=int, default=4000, help="for each target and round")
    parser.add_argument("--tokens", type=int, default=10000)
    parser.add_argument("--waiting", type=int, default=10000, help="mails that wait for a mail server")
    parser.add_argument("--seconds", type=float, default=0.3, help="for each target and round, of the part `peers`")
    parser.add_argument("--svg", type=Path, default=None, help="where to draw what the part `peers` finds")
    parser.add_argument("--tries", type=int, default=15, help="of each account, for the times of failed logins")
    parser.add_argument("--only", choices=PARTS, default=None)
    options = parser.parse_args()
    total = max(options.requests, CONNECTIONS)
    if options.only in {None, "peers"}:
        beside_peers(options.rounds, options.seconds, options.svg)
    with tempfile.TemporaryDirectory() as folder, plain_server("bare") as bare:
        null = Path(os.devnull)
        if options.only in {None, "cost"}:
            with plain_server("floor") as floor, observed_servers(folder) as servers:
                uvloop.run(cost(servers, floor, bare, options.rounds, total))
        if options.only in {None, "verification"}:
            costs(options.rounds, 500)
            with serving(new_folder(folder, "verification"), log_to=null, **SETTINGS) as server:
                uvloop.run(flood(server, min(options.rounds, 5)))
        _alone(options, folder, total)
        if options.only in {None, "checked"}:
            with serving(new_folder(folder, "checked"), log_to=null, **SETTINGS) as server:
                started = time.monotonic()
                series = checked_requests(server, bare, options.tokens)
                print(f"{options.tokens} logins in {time.monotonic() - started:.0f} s", flush=True)
                uvloop.run(play(series, options.rounds, total, max(options.tokens, 2000)))
                report("checked requests", series, "requests / s / core")
        if options.only in {None, "refresh"}:
            shared, alone = new_folder(folder, "shared"), new_folder(folder, "alone")
            with (
                serving(shared, log_to=null, **SETTINGS) as server,
                serving(alone, log_to=null, module="tests.bench.one_commit", **SETTINGS) as single,
            ):
                series = [
                    refreshes("commits shared, as served", server, bare),
                    refreshes("one commit per refresh", single, bare),
                ]
                uvloop.run(play(series, options.rounds, total, 2000))
                title = f"POST /refresh, {CONNECTIONS} clients, durable"
                report(title, series, "refreshes / s")
                report(title, series, "refreshes / s / core")


if __name__ == "__main__":
    main()
