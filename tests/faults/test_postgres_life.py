"""A start, a crowd and an end while PostgreSQL hangs, and a PostgreSQL that comes back as another one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.calling import wait_until
from tests.environment import environment
from tests.faults.postgres_clients import HANGS_SECONDS, clients_of
from tests.faults.postgres_cluster import Cluster, cluster
from tests.faults.postgres_site import ROLE, Node, Site, proxied, settings, site
from tests.figures import Figures
from tests.needed import require
from tests.pgbouncer import pgbouncer
from tests.postgres import PostgresServer
from tests.postgres_standby import standby_of
from tests.process.server_process import DEADLINE_SECONDS, run, serving, uncovered
from tests.volume import IS_FULL, volume

pytestmark = pytest.mark.skipif(not IS_FULL, reason="it takes seconds each; the table of faults has the quick ones")

CROWD = volume(3000)
LONGEST_SECONDS = 5.0
BACK_SECONDS = 5.0


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer) -> Iterator[Site]:
    with cluster(postgres_server.system_user) as own, site(tmp_path_factory.mktemp("site"), own, (1, 2)) as found:
        yield found


@pytest.mark.parametrize("workers", [1, 2])
def test_a_start_while_it_hangs_says_so_and_goes_on_when_it_answers(
    tmp_path: Path, postgres_cluster: Cluster, workers: int, figures: Figures
) -> None:
    postgres_cluster.freeze()
    env = uncovered(environment(**settings(postgres_cluster.url(), workers)))
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "server"], cwd=tmp_path, env=env, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        wait_until(lambda: "waiting for PostgreSQL" in (tmp_path / "log").read_text())
        postgres_cluster.thaw()
        thawed_at = time.monotonic()
        wait_until(lambda: "listens on" in (tmp_path / "log").read_text())
        figures.at_most(
            f"PostgreSQL hangs at a start of {workers} workers: served after its end by",
            time.monotonic() - thawed_at,
            BACK_SECONDS,
            "s",
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_SECONDS) == 0
    finally:
        postgres_cluster.thaw()
        process.kill()
        process.wait()


@pytest.mark.parametrize("host", ["stopped", "silent"])
def test_a_standby_takes_over(tmp_path: Path, postgres_server: PostgresServer, host: str, figures: Figures) -> None:
    """The URL names both hosts, and no restart is needed."""
    with contextlib.ExitStack() as stack:
        primary = stack.enter_context(cluster(postgres_server.system_user))
        primary.execute(f"CREATE ROLE {ROLE} LOGIN", f"CREATE SCHEMA watchword AUTHORIZATION {ROLE}")
        standby = stack.enter_context(standby_of(primary))
        proxies = [stack.enter_context(proxied(target))[0] for target in (primary, standby)]
        first, second = (urlsplit(proxy.url("postgres")).netloc.rpartition("@")[2] for proxy in proxies)
        url = f"postgresql://{ROLE}@{first},{second}/postgres"
        server = stack.enter_context(serving(tmp_path, log_to=None, module="server", **settings(url)))
        node = Node(server, server.admin_password(), 1)

        def fail() -> None:
            if host == "silent":
                proxies[0].hold(new_too=True)
                primary.freeze()
            else:
                primary.stop("immediate")

        async def play() -> None:
            async with clients_of([node], "user-") as clients:
                await clients.until("login", {200})
                await standby.catch_up()
                await asyncio.to_thread(fail)
                await clients.until("ready", {503})
                assert (await clients.ask("verify", node)).status == 204
                await asyncio.to_thread(standby.promote)
                back = await clients.until("write", {200})
                figures.at_most(
                    f"PostgreSQL, primary {host}: after the promotion a write after", back, BACK_SECONDS, "s"
                )
                await clients.until("ready", {200})
                await clients.revoked_everywhere()

        asyncio.run(play())
        assert "Traceback" not in server.log()


def test_behind_a_pooler(tmp_path: Path, postgres_server: PostgresServer, figures: Figures) -> None:
    """PgBouncer waits 15 s before it tries a server again, unless it is set as docs/postgresql.md says."""
    with contextlib.ExitStack() as stack:
        own = stack.enter_context(cluster(postgres_server.system_user))
        pooler = pgbouncer(own, own.url(), "transaction", more="server_login_retry = 1")
        url = stack.enter_context(pooler)
        direct = {"WATCHWORD__STORE__LISTEN_URL": own.url()}
        server = stack.enter_context(serving(tmp_path, log_to=None, module="server", **settings(url), **direct))
        node = Node(server, server.admin_password(), 1)

        async def play(what: str, begin: Callable[[], None], end: Callable[[], None]) -> None:
            async with clients_of([node], "user-") as clients:
                await clients.until("write", {200})
                await asyncio.to_thread(begin)
                await clients.until("ready", {503})
                assert (await clients.ask("verify", node)).status == 204
                # Of what is asked now all is answered, late at first.
                told = await asyncio.gather(*(clients.ask("read", node) for _ in range(50)))
                assert {one.status for one in told} == {503}
                longest = clients.of("read").longest
                figures.at_most(f"PostgreSQL behind PgBouncer, {what}: the longest wait", longest, LONGEST_SECONDS, "s")
                await asyncio.to_thread(end)
                back = await clients.until("write", {200})
                figures.at_most(f"PostgreSQL behind PgBouncer, {what}: a write after", back, BACK_SECONDS, "s")

        asyncio.run(play("stopped", lambda: own.stop("immediate"), own.start))
        asyncio.run(play("frozen", own.freeze, own.thaw))
        assert "Traceback" not in server.log()


def test_the_database_is_dropped_and_restored_to_an_earlier_state(here: Site, tmp_path: Path, figures: Figures) -> None:
    """Ended sessions stay ended at nodes that knew of it; what the dump has goes on."""
    node, own = here.nodes[0], here.cluster
    dump = own.folder / "dump"
    own.run("pg_dump", "-h", own.folder, "-U", "postgres", "-Fc", "-n", "watchword", "-f", dump, "postgres")
    ended = node.server.log_in("admin", node.password)["token"]
    assert node.server.call("POST", "/logout", token=ended)[0] == 204
    own.execute("CREATE DATABASE other")
    own.execute("DROP DATABASE postgres WITH (FORCE)", database="other")
    for one in here.nodes:
        wait_until(lambda one=one: one.server.call("GET", "/health/ready")[0] == 503)  # type: ignore[misc]
        assert one.server.call("GET", "/verify", token=node.token)[0] == 204
    own.execute("CREATE DATABASE postgres", database="other")
    # It is empty.
    assert node.server.call("POST", "/login", {"username": "admin", "password": node.password})[0] == 503
    own.run("pg_restore", "-h", own.folder, "-U", "postgres", "--single-transaction", "-d", "postgres", dump)
    begun = time.monotonic()
    for one in here.nodes:
        wait_until(lambda one=one: one.server.call("GET", "/health/ready")[0] == 200)  # type: ignore[misc]
    figures.at_most("PostgreSQL, restored from a dump: ready after", time.monotonic() - begun, BACK_SECONDS, "s")
    for one in here.nodes:
        assert one.server.call("GET", "/me", token=node.token)[0] == 200
        for _ in range(4):
            assert one.server.call("GET", "/verify", token=ended)[0] == 401
        assert one.server.log_in("admin", node.password)["token"]
        assert "Traceback" not in one.server.log()
    verified = run(tmp_path, "audit", "verify", **settings(own.url()))
    assert verified.returncode == 0, verified.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a disk of its own")
def test_the_disk_of_postgresql_is_full(here: Site, figures: Figures) -> None:
    require({"mount": shutil.which("mount")})
    own = here.cluster
    with tempfile.TemporaryDirectory(prefix="pgd", dir="/tmp") as name, contextlib.ExitStack() as stack:
        disk = Path(name)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", name], check=False).returncode != 0:  # noqa: S607
            pytest.skip("nothing may be mounted here")
        stack.callback(lambda: subprocess.run(["umount", "--lazy", name], check=True))  # noqa: S607
        stack.enter_context(_moved_to(disk, own))

        async def play() -> None:
            async with clients_of(here.nodes, "full-") as clients:
                await clients.until("write", {200})
                async with clients.going_on({"verify": 1, "write": 2, "read": 1}):
                    await clients.some("refresh")
                    _fill(disk / "fill")
                    await clients.until("ready", {503})
                    told = await clients.ask("ready", here.nodes[0])
                    assert told.body["reason"] in {"store_full", "store_away"}
                    found = clients.forget()
                    await asyncio.sleep(1.0)
                    (disk / "fill").unlink()
                    back, ready = await asyncio.gather(clients.until("write", {200}), clients.until("ready", {200}))
                assert set(found["verify"].statuses) == {204}
                assert set(found["write"].codes) <= {"store_unavailable"}
                figures.at_most(
                    "PostgreSQL, disk full: afterwards a write is acknowledged after", back, BACK_SECONDS, "s"
                )
                figures.at_most("PostgreSQL, disk full: afterwards ready after", ready, BACK_SECONDS, "s")
                await clients.require_nothing_lost()

        asyncio.run(play())
        for node in here.nodes:
            assert "Traceback" not in node.server.log()


@contextlib.contextmanager
def _moved_to(disk: Path, own: Cluster) -> Iterator[None]:
    """Its data is there during the block."""
    own.stop("fast")
    elsewhere = disk / "data"
    subprocess.run(["cp", "--archive", str(own.data), str(elsewhere)], check=True)  # noqa: S607
    shutil.rmtree(own.data)
    own.data.symlink_to(elsewhere)
    own.start()
    try:
        yield
    finally:
        own.stop("immediate")
        own.data.unlink()
        subprocess.run(["cp", "--archive", str(elsewhere), str(own.data)], check=True)  # noqa: S607
        own.start()


def _fill(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(65536))


def test_what_postgresql_says_in_another_encoding(here: Site) -> None:
    """Before a session has an encoding, messages are in that of the system of the server."""
    node = here.nodes[0]
    said = b"is not permitted to log in"
    here.proxy.replaced = said, b"darf sich nicht anmelde\xfc\xe4\xdf"
    here.run(f"ALTER ROLE {ROLE} NOLOGIN")
    here.terminate_backends()
    wait_until(lambda: node.server.call("GET", "/users", token=node.token)[0] == 503)
    here.run(f"ALTER ROLE {ROLE} LOGIN")
    wait_until(lambda: node.server.call("GET", "/users", token=node.token)[0] == 200)
    assert "Traceback" not in node.server.log()


def test_a_crowd_while_it_hangs_and_then_the_end(here: Site, figures: Figures) -> None:
    node = here.nodes[0]
    # Memory that a crowd needs anyhow is there before.
    asyncio.run(_crowd(node))
    memory, lines = node.memory_mb(), len(node.server.log().splitlines())
    here.cluster.freeze()
    for _ in range(2):
        statuses, seconds = asyncio.run(_crowd(node))
        assert statuses == {503: CROWD}
        figures.told(f"PostgreSQL hangs, {CROWD} requests at once: all are answered after", seconds, "s")
    figures.at_most("PostgreSQL hangs, a crowd: memory grows", node.memory_mb() - memory, 20.0, "MB")
    new = node.server.log().splitlines()[lines:]
    assert len(new) <= 15, new
    for node in here.nodes:
        begun = time.monotonic()
        # One after the other, and each at once though what is under way gets no answer.
        assert node.server.stop() == 0
        figures.at_most(
            f"PostgreSQL hangs: {node.workers} workers end after SIGTERM",
            time.monotonic() - begun,
            LONGEST_SECONDS,
            "s",
        )
        assert "Traceback" not in node.server.log()


async def _crowd(node: Node) -> tuple[Counter[int], float]:
    """Writes, all at the same moment."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=HANGS_SECONDS)
    headers = {"Authorization": f"Bearer {node.token}"}
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as http:

        async def write() -> int:
            async with http.patch(f"{node.address}/me", json={"name": "crowd"}) as answer:
                return answer.status

        begun = time.monotonic()
        found = Counter(await asyncio.gather(*(write() for _ in range(CROWD))))
        return found, time.monotonic() - begun
