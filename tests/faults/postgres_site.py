"""Servers on one PostgreSQL behind a proxy, as a role that is no superuser."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.calling import DEADLINE_SECONDS
from tests.faults.postgres_cluster import Cluster
from tests.postgres_proxy import PostgresProxy
from tests.process.server_process import ServerProcess, serving
from tests.processes import memory_kb, with_children
from tests.running import MASTER_KEY

ROLE = "watchword"
POOL_SIZE = 5


class Node:
    """A server, with an admin who is signed in."""

    def __init__(self, server: ServerProcess, password: str, workers: int) -> None:
        self.server = server
        self.address = server.address
        self.password = password
        self.workers = workers
        self.token: str = server.log_in("admin", password)["token"]
        self.user_id: str = server.call("GET", "/me", token=self.token)[1]["user"]["id"]

    def memory_mb(self) -> float:
        """What its processes have for themselves alone."""
        found = [memory_kb(pid) for pid in with_children(self.server.process.pid)]
        return sum(kb for one in found for name, kb in one.items() if name.startswith("Private_")) / 1024


@dataclass
class Site:
    """The cluster, the proxy before it, and the nodes behind it. What is done at a fault is a method here."""

    cluster: Cluster
    proxy: PostgresProxy
    in_proxy: Callable[[Coroutine[Any, Any, None]], None]
    nodes: list[Node]
    # What a fault holds until it is over.
    held: ExitStack

    def call_in_proxy(self, call: Callable[[], None]) -> None:
        async def work() -> None:
            call()

        self.in_proxy(work())

    def run(self, *statements: str) -> None:
        """As an operator, past the proxy."""
        self.cluster.execute(*statements)

    def set(self, setting: str, value: str) -> None:
        """For the whole server, as in its settings file; sessions that there are hear of it."""
        self.run(f"ALTER SYSTEM SET {setting} = {value}", "SELECT pg_reload_conf()")

    def reset(self, setting: str) -> None:
        self.run(f"ALTER SYSTEM RESET {setting}", "SELECT pg_reload_conf()")

    def terminate_backends(self) -> None:
        self.cluster.value("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = $1", ROLE)

    def connections(self) -> int:
        found: int = self.cluster.value("SELECT count(*) FROM pg_stat_activity WHERE usename = $1", ROLE)
        return found

    def forgotten_transactions(self) -> int:
        """Those that nobody goes on with."""
        found: int = self.cluster.value(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND xact_start < now() - interval '5 seconds'",
            ROLE,
        )
        return found


class Target(Protocol):
    """A PostgreSQL that listens at a Unix socket."""

    @property
    def socket(self) -> Path: ...


@contextmanager
def proxied(cluster: Target) -> Iterator[tuple[PostgresProxy, Callable[[Coroutine[Any, Any, None]], None]]]:
    """A proxy before the cluster, in a thread, since servers are started while it works; and what runs its methods."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def do(work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(DEADLINE_SECONDS)

    proxy = PostgresProxy(cluster.socket)
    try:
        do(proxy.listen())
        yield proxy, do
    finally:
        do(proxy.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def settings(store_url: str, workers: int = 1) -> dict[str, str]:
    return {
        "WATCHWORD__STORE__URL": store_url,
        "WATCHWORD__KEYS__MASTER_KEY": MASTER_KEY,
        "WATCHWORD__STORE__POOL_SIZE": str(POOL_SIZE),
        "WATCHWORD__SERVER__WORKERS": str(workers),
        "WATCHWORD__LIMITS__ADDRESS_GUESSES_PER_HOUR": "1000000",
        "WATCHWORD__LOGS__REQUESTS": "false",
    }


@contextmanager
def site(folder: Path, cluster: Cluster, workers: tuple[int, ...]) -> Iterator[Site]:
    """A node for each number of workers."""
    cluster.execute(f"CREATE ROLE {ROLE} LOGIN", f"CREATE SCHEMA watchword AUTHORIZATION {ROLE}")
    with ExitStack() as stack:
        proxy, in_proxy = stack.enter_context(proxied(cluster))
        url = proxy.url("postgres").replace("postgres@", f"{ROLE}@")
        password = ""
        nodes = []
        for count in workers:
            server = stack.enter_context(serving(folder, log_to=None, module="server", **settings(url, count)))
            password = password or server.admin_password()
            nodes.append(Node(server, password, count))
        yield Site(cluster, proxy, in_proxy, nodes, stack.enter_context(ExitStack()))
