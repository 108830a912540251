"""`make bench`: what thousands of mails that wait cost the requests, and how long a new mail waits beside them.

Three servers on SQLite in one run: one whose mails go out at once, one with thousands that wait for a mail server that
is dead, and one with as many that are sent meanwhile. One client calls them in turn, so what else the machine does
meets all of them.
"""

from __future__ import annotations

import http.client
import itertools
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.calling import wait_until
from tests.listening import free_port
from tests.mail.mail_server import MailServer, mail_server
from tests.process.server_process import ServerProcess, serving

SETTINGS = {
    "WATCHWORD__MAIL__FROM": "Example <auth@mail.example>",
    "WATCHWORD__SERVER__PUBLIC_URL": "https://auth.example",
    "WATCHWORD__REGISTRATION__MODE": "invitation",
    "WATCHWORD__LOGS__FORMAT": "json",
    "WATCHWORD__TOKENS__ACCESS_TTL_SECONDS": "86400",
}
CHECKS, WRITES = 200, 20


class _Client:
    """One connection to a server, as an admin."""

    def __init__(self, server: ServerProcess) -> None:
        self._connection = http.client.HTTPConnection(server.address.removeprefix("http://"), timeout=60)
        self._token = server.log_in("admin", server.admin_password())["token"]
        self.times: dict[str, list[float]] = {"GET /verify": [], "POST /invitations": []}

    def call(self, method: str, path: str, body: object = None) -> float:
        """The milliseconds of a call, which must succeed."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        started = time.perf_counter()
        self._connection.request(method, path, json.dumps(body) if body else None, headers)
        response = self._connection.getresponse()
        response.read()
        assert response.status < 300
        return (time.perf_counter() - started) * 1000

    def play(self, addresses: Callable[[], str]) -> None:
        """A round: requests that only check a token, and some that write a mail."""
        for _ in range(CHECKS):
            self.times["GET /verify"].append(self.call("GET", "/verify"))
        for _ in range(WRITES):
            self.times["POST /invitations"].append(self.call("POST", "/invitations", {"email": addresses()}))


def outbox(folder: Path, rounds: int, waiting: int) -> None:
    """Prints the times of the requests, and of new mails until they arrive."""
    numbers = itertools.count()

    def new_address() -> str:
        return f"new{next(numbers)}@example.com"

    with ExitStack() as stack:
        quick = stack.enter_context(mail_server())
        later = MailServer("127.0.0.1", "plain", None, free_port())
        urls = {"none": quick.url, "dead": "smtp://127.0.0.1:9", "sent": later.url}
        servers = {name: _started(stack, folder / name, url) for name, url in urls.items()}
        for name in ("dead", "sent"):
            _fill(servers[name], waiting)
        clients = {name: _Client(server) for name, server in servers.items()}
        for _ in range(rounds):
            for name in ("none", "dead"):
                clients[name].play(new_address)
        _report(f"{waiting} mails wait for a dead server", clients, "dead")
        clients = {name: _Client(servers[name]) for name in ("none", "sent")}
        stack.enter_context(mail_server(port=later.port, handler=later))
        wait_until(lambda: len(later.messages) > 50)
        began, before = time.monotonic(), len(later.messages)
        for _ in range(rounds):
            for client in clients.values():
                client.play(new_address)
        rate = (len(later.messages) - before) / (time.monotonic() - began)
        left = waiting - len(later.messages)
        _report(f"they are sent meanwhile, {rate:.0f} a second, {left} are left at the end", clients, "sent")
        _arrivals(clients, {"none": quick, "sent": later}, new_address)
        print(f"{waiting - len(later.messages)} of the old mails still wait now", flush=True)


def _started(stack: ExitStack, folder: Path, url: str) -> ServerProcess:
    folder.mkdir()
    return stack.enter_context(serving(folder, log_to=None, module="server", **SETTINGS, WATCHWORD__MAIL__URL=url))


def _fill(server: ServerProcess, count: int) -> None:
    token = server.log_in("admin", server.admin_password())["token"]

    def invite(number: int) -> None:
        assert server.call("POST", "/invitations", {"email": f"old{number}@example.com"}, token)[0] == 201

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(invite, range(count)))


def _report(title: str, clients: dict[str, _Client], name: str) -> None:
    table = Table(title, "ms", "median", "90 %", "99 %", box=None, pad_edge=False)
    for request in clients[name].times:
        for what, client in (("no mail waits", clients["none"]), ("thousands wait", clients[name])):
            times = client.times[request]
            parts = statistics.quantiles(times, n=100)
            table.add_row(request, what, f"{statistics.median(times):.2f}", f"{parts[89]:.2f}", f"{parts[98]:.2f}")
    Console(soft_wrap=True).print(table)
    print(flush=True)


def _arrivals(clients: dict[str, _Client], servers: dict[str, MailServer], new_address: Callable[[], str]) -> None:
    """How long a new mail takes from the answer of its request to the mail server."""
    table = Table("new mail arrives after, ms", "median", "longest", box=None, pad_edge=False)
    for name, client in clients.items():
        times = []
        for _ in range(20):
            address = new_address()
            client.call("POST", "/invitations", {"email": address})
            started = time.perf_counter()
            servers[name].wait_for(address)
            times.append((time.perf_counter() - started) * 1000)
        what = "no mail waits" if name == "none" else "thousands wait"
        table.add_row(what, f"{statistics.median(times):.0f}", f"{max(times):.0f}")
    Console(soft_wrap=True).print(table)
    print(flush=True)
