"""Keys that several event loops share: one after the other, in threads, and in a child process."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import aiohttp
import pytest

from server.keys.key_material import SigningKey, public_jwk
from tests.clock import START_MS, FakeClock
from tests.forging import AUDIENCE, CLAIMS, ISSUER, claims_with, forge, header_of, signing_key
from watchword_client.errors import KeysUnavailable, TokenInvalid
from watchword_client.remote import RemoteKeySet
from watchword_client.token_verifier import TokenVerifier

OLD, NEW = signing_key("ES256"), signing_key("EdDSA")
OLD_TOKEN, NEW_TOKEN = (forge(key, header_of(key), claims_with(exp=CLAIMS.expires_at + 10_000)) for key in (OLD, NEW))
LONGEST_WAIT = 5


class Site:
    """Publishes keys from a thread of its own. Behind a closed `gate` requests wait with the answer of their moment."""

    def __init__(self) -> None:
        self.body = b""
        self.fetches = 0
        self.arrived = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.clock = FakeClock()
        self.publish(OLD, NEW)
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body, gate = site.body, site.gate
                site.fetches += 1
                site.arrived.set()
                gate.wait(LONGEST_WAIT)
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Not among the output of the tests."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.keys = self.remote()
        self.verifier = TokenVerifier(self.keys, issuer=ISSUER, audience=AUDIENCE, clock=self.clock)

    def publish(self, *keys: SigningKey) -> None:
        self.body = json.dumps({"keys": [public_jwk(key.material, key.algorithm) for key in keys]}).encode()

    def remote(self, session: aiohttp.ClientSession | None = None) -> RemoteKeySet:
        return RemoteKeySet(f"http://127.0.0.1:{self.server.server_port}/jwks", session=session, clock=self.clock)

    async def is_believed(self, token: str) -> bool:
        try:
            return (self.verifier.remembered(token) or await self.verifier.verify(token)).subject == CLAIMS.subject
        except TokenInvalid:
            return False


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.gate.set()
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def left_normally(site: Site) -> None:
    assert asyncio.run(site.is_believed(OLD_TOKEN))


def left_closed(site: Site) -> None:
    async def use() -> bool:
        async with site.verifier:
            return await site.is_believed(OLD_TOKEN)

    assert asyncio.run(use())


def left_during_a_renewal(site: Site) -> None:
    async def use() -> bool:
        assert await site.is_believed(OLD_TOKEN)
        site.clock.advance(300)
        site.gate.clear()
        return await site.is_believed(OLD_TOKEN)

    assert asyncio.run(use())
    site.gate.set()


def closed_during_a_renewal(site: Site) -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(site.is_believed(OLD_TOKEN))
    site.clock.advance(300)
    site.gate.clear()
    site.arrived.clear()
    loop.run_until_complete(site.is_believed(OLD_TOKEN))
    loop.run_until_complete(asyncio.to_thread(site.arrived.wait, LONGEST_WAIT))
    # As after a crash: nothing that is under way is cancelled.
    loop.close()
    site.gate.set()


def still_open(site: Site) -> None:
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(site.is_believed(OLD_TOKEN))


def in_a_thread(site: Site) -> None:
    with ThreadPoolExecutor() as threads:
        assert threads.submit(lambda: asyncio.run(site.is_believed(OLD_TOKEN))).result()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "first",
    [left_normally, left_closed, left_during_a_renewal, closed_during_a_renewal, still_open, in_a_thread],
)
def test_a_second_loop_fetches_again_and_believes_no_revoked_key(site: Site, first: Callable[[Site], None]) -> None:
    first(site)
    site.publish(NEW)
    site.clock.advance(300)
    # Each call in a loop that lives for it alone, as from code that is not asynchronous.
    assert not asyncio.run(site.is_believed(OLD_TOKEN))
    assert asyncio.run(site.is_believed(NEW_TOKEN))
    fetches = site.fetches
    site.clock.advance(300)
    for _ in range(3):
        assert asyncio.run(site.is_believed(NEW_TOKEN))
    assert site.fetches == fetches + 1
    # What a closed loop has left open says so now, and not in another test.
    gc.collect()


def test_a_first_fetch_that_ended_with_its_loop_holds_up_no_other(site: Site) -> None:
    async def leave() -> None:
        task = asyncio.create_task(site.is_believed(OLD_TOKEN))
        await asyncio.to_thread(site.arrived.wait, LONGEST_WAIT)
        task.cancel()

    site.gate.clear()
    asyncio.run(leave())
    site.gate.set()
    assert asyncio.run(site.is_believed(OLD_TOKEN))


def test_a_loop_that_runs_for_each_call_alone_renews_keys(site: Site) -> None:
    loop = asyncio.new_event_loop()
    try:
        assert loop.run_until_complete(site.is_believed(OLD_TOKEN))
        site.publish(NEW)
        for _ in range(3):
            site.clock.advance(361)
            believed = loop.run_until_complete(site.is_believed(OLD_TOKEN))
        assert not believed
    finally:
        loop.run_until_complete(site.verifier.close())
        loop.close()


def test_loops_in_two_threads_share_what_either_fetches(site: Site) -> None:
    turns = threading.Barrier(3, timeout=LONGEST_WAIT)

    async def use() -> list[bool]:
        found = []
        for _ in range(3):
            await asyncio.to_thread(turns.wait)
            found += await asyncio.gather(*(site.is_believed(OLD_TOKEN) for _ in range(20)))
            await asyncio.to_thread(turns.wait)
        return found

    with ThreadPoolExecutor() as threads:
        loops = [threads.submit(lambda: asyncio.run(use())) for _ in range(2)]
        for published in ([OLD, NEW], [NEW], [OLD, NEW]):
            site.publish(*published)
            turns.wait()
            turns.wait()
            site.clock.advance(361)
        for loop in loops:
            assert loop.result() == [True] * 20 + [False] * 20 + [True] * 20
    assert site.fetches <= 8


def test_an_older_answer_that_comes_later_brings_no_revoked_key_back(site: Site) -> None:
    site.gate.clear()
    with ThreadPoolExecutor() as threads:
        slow = threads.submit(lambda: asyncio.run(site.keys.reload()))
        assert site.arrived.wait(LONGEST_WAIT)
        site.publish(NEW)
        held, site.gate = site.gate, threading.Event()
        site.gate.set()
        assert asyncio.run(site.keys.reload())
        held.set()
        assert slow.result(LONGEST_WAIT)
    assert site.fetches == 2
    assert site.keys.verification_key(OLD.kid, START_MS) is None
    assert site.keys.verification_key(NEW.kid, START_MS) is not None


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_process_fetches_for_itself(site: Site) -> None:
    left_during_a_renewal(site)
    site.publish(NEW)
    site.clock.advance(300)
    child = os.fork()
    if child == 0:
        # Whatever happens, the child does not go on with the tests of its parent.
        try:
            os._exit(0 if not asyncio.run(site.is_believed(OLD_TOKEN)) else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_in_another_loop_than_its_session_an_old_set_is_not_believed(site: Site) -> None:
    async def open_and_use() -> RemoteKeySet:
        async with aiohttp.ClientSession() as session:
            keys = site.remote(session)
            await keys.keep_current()
            return keys

    keys = asyncio.run(open_and_use())
    asyncio.run(keys.keep_current())
    site.clock.advance(300)
    with pytest.raises(KeysUnavailable):
        asyncio.run(keys.keep_current())
