from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from copy import copy
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from server.core.clock import SystemClock
from server.core.errors import NotFound, StoreRefused, StoreUnavailable
from server.core.ids import Ids, SystemRandomness
from server.database.sqlite import waiting_unit
from server.keys.custody import Custody
from server.keys.derivation import root_keys
from server.keys.errors import KeysInSettings, RotationUnderWay
from server.keys.key_material import shared_secret
from server.keys.model import KeyRecord
from server.keys.repository import KeyRepository
from server.keys.rotation import RotationPolicy
from server.keys.sealing import MasterKey
from server.keys.service import KeyService
from server.keys.signer import Signer
from server.repositories import Repositories, open_repositories
from tests.clock import FakeClock
from tests.forging import AUDIENCE, CLAIMS, ISSUER
from watchword_client.token_checks import TokenChecks, UnknownKey

TTL_SECONDS = 900
LIFE_SECONDS = TTL_SECONDS + 60
DAY_SECONDS = 86_400
AHEAD_SECONDS = 600
POLICY = RotationPolicy("ES256", TTL_SECONDS, 30 * DAY_SECONDS * 1000, AHEAD_SECONDS * 1000)
SHARED = replace(POLICY, algorithm="HS256", secrets=[shared_secret("a shared secret of more than 32 bytes")])
IDS = Ids(SystemClock(), SystemRandomness())


class Node:
    """A server's keys, with what signs and verifies by them."""

    def __init__(
        self, store: Repositories, clock: FakeClock, policy: RotationPolicy = POLICY, master: list[str] | None = None
    ) -> None:
        self.clock = clock
        self.master = master or ["a master key of enough characters"]
        self.forgotten = 0
        self.reads_of_master_key = 0
        self.custody = Custody(self._read_master_key)
        self.service = KeyService(
            keys=store.keys,
            audit=store.audit,
            custody=self.custody,
            policy=policy,
            clock=clock,
            ids=IDS,
        )
        self.current = self.service.current
        self.current.on_removal(self._forget)
        self._verifier = TokenChecks(self.current, issuer=ISSUER, audience=AUDIENCE)

    def _read_master_key(self) -> MasterKey:
        self.reads_of_master_key += 1
        return MasterKey(self.master, IDS)

    def _forget(self) -> None:
        self.forgotten += 1

    def sign(self) -> str:
        now = self.clock.now_ms() // 1000
        return Signer(self.current).sign(replace(CLAIMS, issued_at=now, expires_at=now + TTL_SECONDS))

    def knows(self, token: str) -> bool:
        try:
            self._verifier.verify(token, self.clock.now_ms())
        except UnknownKey:
            return False
        return True

    def published(self) -> list[str]:
        return [key["kid"] for key in self.current.keyring.jwks(self.clock.now_ms())["keys"]]

    def signing_kid(self) -> str:
        return self.current.signing_key().kid


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Repositories]:
    opened = await open_repositories(store_url, serving=True)
    yield opened
    await opened.close()


class Watched:
    """Runs plans on a thread as the service does, and looks at what the event loop reads before and after."""

    def __init__(self, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
        self.node = node
        self.plans = 0
        self._to_thread = asyncio.to_thread
        monkeypatch.setattr(asyncio, "to_thread", self._watch)
        self.before: Callable[[], None] = lambda: None

    def _state(self) -> list[dict[str, Any]]:
        service = self.node.service
        return [
            {name: copy(value) if isinstance(value, dict | list) else value for name, value in vars(one).items()}
            for one in (service, service.current, self.node.custody)
        ]

    async def _watch(self, work: Callable[..., Any], *arguments: Any) -> Any:
        self.before()
        state, reads = self._state(), self.node.reads_of_master_key
        try:
            return await self._to_thread(work, *arguments)
        finally:
            self.plans += 1
            assert self._state() == state
            assert self.node.reads_of_master_key == reads


async def node(store: Repositories, clock: FakeClock, policy: RotationPolicy = POLICY, **changes: Any) -> Node:
    made = Node(store, clock, policy, **changes)
    await made.service.load(serving=True)
    return made


async def signing_keys(store: Repositories) -> list[KeyRecord]:
    return [record for record in await store.keys.list_keys() if record.algorithm != "HKDF"]


async def kids(store: Repositories) -> list[str]:
    return [record.kid for record in await signing_keys(store)]


async def test_the_first_start_makes_two_keys_and_the_next_ones_use_them(store: Repositories) -> None:
    clock = FakeClock()
    first, second = await node(store, clock), await node(store, clock)
    assert len(await kids(store)) == 2
    assert set(await kids(store)) == set(first.published()) == set(second.published())
    assert first.signing_kid() == second.signing_kid()
    assert second.knows(first.sign())
    assert first.knows(second.sign())


async def test_the_private_keys_are_not_readable_in_the_store(store: Repositories) -> None:
    started = await node(store, FakeClock())
    private = started.current.signing_key().material.private_numbers().private_value.to_bytes(32, "big")
    for record in await store.keys.list_keys():
        assert private not in record.sealed
        assert '"d"' not in record.public_jwk


@pytest.mark.parametrize("serving", [True, False])
async def test_a_wrong_master_key_refuses_the_start_and_changes_nothing(store: Repositories, serving: bool) -> None:
    await node(store, FakeClock())
    before = await store.keys.list_keys()
    wrong = Node(store, FakeClock(), master=["another master key, as long as that"])
    with pytest.raises(StoreRefused, match="master key"):
        await wrong.service.load(serving=serving)
    assert await store.keys.list_keys() == before


async def test_rotation_by_age_signs_with_the_next_key_forgets_the_old_one_and_no_token_fails(
    store: Repositories,
) -> None:
    clock = FakeClock()
    started = await node(store, clock)
    old = started.signing_kid()
    (waiting,) = set(started.published()) - {old}
    clock.advance(30 * DAY_SECONDS - 1)
    await started.service.maintain(steady=True)
    last_token = started.sign()
    assert started.signing_kid() == old
    clock.advance(1)
    # By the time alone: nothing has to run at that moment.
    assert started.signing_kid() == waiting
    assert started.knows(last_token)
    assert started.knows(started.sign())
    await started.service.maintain(steady=True)
    assert len(started.published()) == 3
    clock.advance(LIFE_SECONDS - 1)
    assert old in started.published()
    clock.advance(1)
    assert old not in started.published()
    assert not started.knows(last_token)
    assert old in await kids(store)
    await started.service.maintain(steady=True)
    assert old not in await kids(store)


def read_together(store: Repositories, nodes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of so many nodes that begin now, none goes on before all have read the keys."""
    barrier, read = asyncio.Barrier(nodes), KeyRepository.list_keys
    reads = count(1)

    async def list_keys() -> list[KeyRecord]:
        number = next(reads)
        found = await read(store.keys)
        if number <= nodes:
            await barrier.wait()
        return found

    monkeypatch.setattr(store.keys, "list_keys", list_keys)


async def test_nodes_that_start_rotate_or_keep_up_at_once_make_one_new_key(
    store: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow the disk is.
    monkeypatch.setattr(waiting_unit, "BEGIN_SECONDS", 60.0)
    monkeypatch.setattr(waiting_unit, "ANSWER_SECONDS", 120.0)
    clock = FakeClock()
    read_together(store, 4, monkeypatch)
    nodes = await asyncio.gather(*(node(store, clock) for _ in range(4)))
    assert len(await kids(store)) == 2
    assert len({each.signing_kid() for each in nodes}) == 1
    clock.advance(30 * DAY_SECONDS)
    read_together(store, 4, monkeypatch)
    await asyncio.gather(*(each.service.maintain(steady=True) for each in nodes))
    assert len(await kids(store)) == 3
    clock.advance(DAY_SECONDS)
    for each in nodes:
        await each.service.maintain(steady=True)
    assert len(await kids(store)) == 2
    read_together(store, 4, monkeypatch)
    rotated = await asyncio.gather(*(each.service.rotate(at_once=False) for each in nodes))
    assert len({record.kid for record in rotated}) == 1
    assert len(await kids(store)) == 3
    assert {tuple(each.published()) for each in nodes} == {tuple(nodes[0].published())}
    assert {each.signing_kid() for each in nodes} == {rotated[0].kid}


async def test_rotations_one_after_the_other_each_make_a_key(store: Repositories) -> None:
    clock = FakeClock()
    started = await node(store, clock)
    seen = [started.signing_kid()]
    tokens = [started.sign()]
    for _ in range(5):
        clock.advance(AHEAD_SECONDS / 5)
        record = await started.service.rotate(at_once=True)
        assert started.signing_kid() == record.kid
        seen.append(record.kid)
        tokens.append(started.sign())
        assert all(started.knows(token) for token in tokens)
    assert len(set(seen)) == 6


async def test_a_rotation_under_way_is_said_to_be(store: Repositories) -> None:
    clock = FakeClock()
    started = await node(store, clock)
    record = await started.service.rotate(at_once=False)
    assert record.activates_at == clock.now_ms() + AHEAD_SECONDS * 1000
    with pytest.raises(RotationUnderWay):
        await started.service.rotate(at_once=False)
    assert len(await kids(store)) == 3


async def test_a_revoked_key_is_unknown_in_every_process_that_reads_and_after_a_restart(store: Repositories) -> None:
    clock = FakeClock()
    here, there = await node(store, clock), await node(store, clock)
    token, kid = here.sign(), here.signing_kid()
    await here.service.revoke(kid)
    assert not here.knows(token)
    assert there.knows(token)
    await there.current.refresh()
    assert not there.knows(token)
    assert not (await node(store, clock)).knows(token)
    assert (here.forgotten, there.forgotten) == (1, 1)
    assert here.signing_kid() == there.signing_kid() != kid
    assert there.knows(here.sign())
    assert kid not in there.published()
    (record,) = (record for record in await store.keys.list_keys() if record.kid == kid)
    assert record.sealed == b""


async def test_reading_without_a_change_makes_nothing_forgotten(store: Repositories) -> None:
    clock = FakeClock()
    started = await node(store, clock)
    ring = started.current.keyring
    await started.current.refresh()
    clock.advance(0.001)
    await started.service.rotate(at_once=True)
    assert started.forgotten == 0
    assert started.current.keyring is not ring


@pytest.mark.parametrize("kid", ["", "unknown"])
async def test_a_key_that_is_not_there_is_not_found(store: Repositories, kid: str) -> None:
    with pytest.raises(NotFound):
        await (await node(store, FakeClock())).service.revoke(kid)


async def test_the_key_of_refresh_tokens_is_neither_listed_nor_revoked(store: Repositories) -> None:
    started = await node(store, FakeClock())
    (root,) = (record for record in await store.keys.list_keys() if record.algorithm == "HKDF")
    assert root.kid not in [record.kid for record in started.current.keyring.records]
    with pytest.raises(NotFound):
        await started.service.revoke(root.kid)


async def test_a_node_learns_an_unknown_key_from_the_store_but_pauses_after_it_found_none(store: Repositories) -> None:
    clock = FakeClock()
    behind, ahead = await node(store, clock), await node(store, clock)
    # After a find there is no pause: keys may change twice within a second.
    for _ in range(3):
        clock.advance(0.001)
        await ahead.service.rotate(at_once=True)
        clock.advance(0.001)
        await ahead.service.rotate(at_once=True)
        token = ahead.sign()
        assert not behind.knows(token)
        # All that ask while it is being read wait for the same reading.
        assert await asyncio.gather(*(behind.current.reload() for _ in range(100))) == [True] * 100
        assert behind.knows(token)
    assert await behind.current.reload()
    clock.advance(0.9)
    assert not await behind.current.reload()
    clock.advance(0.1)
    assert await behind.current.reload()


async def test_another_algorithm_takes_over_at_the_next_start_and_old_tokens_live_out(store: Repositories) -> None:
    clock = FakeClock()
    token = (await node(store, clock)).sign()
    for policy in (replace(POLICY, algorithm="EdDSA"), SHARED, replace(POLICY, secrets=SHARED.secrets)):
        clock.advance(60)
        changed = await node(store, clock, policy)
        assert changed.current.signing_key().algorithm == policy.algorithm
        assert changed.knows(token)
        token = changed.sign()
        assert changed.knows(token)
    clock.advance(LIFE_SECONDS)
    await changed.service.maintain(steady=True)
    assert {record.algorithm for record in await signing_keys(store)} == {"ES256"}


async def test_a_command_makes_no_signing_keys_but_what_reset_tokens_need(store: Repositories) -> None:
    clock = FakeClock()
    command = Node(store, clock, replace(POLICY, algorithm="EdDSA"))
    await command.service.load(serving=False)
    assert await signing_keys(store) == []
    server = await node(store, clock)
    assert server.current.token_key("x") == command.current.token_key("x")
    await command.service.rotate(at_once=True)
    assert {record.algorithm for record in await signing_keys(store)} == {"ES256"}


async def test_secrets_of_the_settings_are_not_rotated_or_revoked_here(store: Repositories) -> None:
    shared = await node(store, FakeClock(), SHARED)
    assert shared.published() == []
    with pytest.raises(KeysInSettings, match=r"tokens\.secret"):
        await shared.service.rotate(at_once=True)
    with pytest.raises(KeysInSettings, match=r"tokens\.secret"):
        await shared.service.revoke(shared.signing_kid())
    assert shared.knows(shared.sign())


async def test_a_new_master_key_seals_everything_and_ends_nothing(store: Repositories) -> None:
    clock = FakeClock()
    started = await node(store, clock)
    token, derived = started.sign(), started.current.token_key("refresh token")
    rewrapping = await node(store, clock, master=["a new master key, as long as that", *started.master])
    assert await rewrapping.service.rewrap() == 3
    restarted = await node(store, clock, master=["a new master key, as long as that"])
    assert restarted.knows(token)
    assert restarted.current.token_key("refresh token") == derived
    assert restarted.signing_kid() == started.signing_kid()
    with pytest.raises(StoreRefused, match="master key"):
        await node(store, clock)


async def test_a_server_whose_master_key_was_changed_reads_the_new_one_and_goes_on(store: Repositories) -> None:
    clock = FakeClock()
    started = await node(store, clock)
    rewrapping = await node(store, clock, master=["a new master key, as long as that", *started.master])
    await rewrapping.service.rewrap()
    clock.advance(30 * DAY_SECONDS)
    # What is in the file beside the database now.
    started.master = ["a new master key, as long as that"]
    await started.service.maintain(steady=True)
    assert started.knows(started.sign())
    assert (await node(store, clock, master=started.master)).signing_kid() == started.signing_kid()


async def test_a_server_with_an_outdated_master_key_makes_no_key_that_others_can_not_open(store: Repositories) -> None:
    clock = FakeClock()
    started = await node(store, clock)
    rewrapping = await node(store, clock, master=["a new master key, as long as that", *started.master])
    await rewrapping.service.rewrap()
    clock.advance(30 * DAY_SECONDS)
    before = await store.keys.list_keys()
    with pytest.raises(StoreRefused, match="master key"):
        await started.service.maintain(steady=True)
    assert await store.keys.list_keys() == before
    # The keys that it has opened before it goes on using.
    assert started.knows(started.sign())


async def test_a_key_that_can_not_be_opened_signs_nothing(store: Repositories) -> None:
    clock = FakeClock()
    started = await node(store, clock)
    rewrapping = await node(store, clock, master=["a new master key, as long as that", *started.master])
    await rewrapping.service.rewrap()
    for _ in range(2):
        clock.advance(0.001)
        await rewrapping.service.rotate(at_once=True)
    await started.current.refresh()
    with pytest.raises(StoreUnavailable):
        started.sign()


async def test_keys_that_were_taken_from_the_store_are_missed_until_they_are_made_again(store: Repositories) -> None:
    started = await node(store, FakeClock())
    await store.keys.swap_keys(await store.keys.list_keys(), [])
    await started.current.refresh()
    with pytest.raises(StoreUnavailable):
        started.current.signing_key()
    await started.service.maintain(steady=True)
    assert started.knows(started.sign())


async def test_the_published_document_is_made_once_and_changes_with_the_keys_and_with_time(store: Repositories) -> None:
    clock = FakeClock()
    started = await node(store, clock)
    document = started.current.jwks()
    clock.advance(60)
    assert started.current.jwks() is document
    clock.advance(AHEAD_SECONDS)
    await started.service.rotate(at_once=False)
    rotated = started.current.jwks()
    assert rotated.etag != document.etag
    clock.advance(LIFE_SECONDS - 1)
    assert started.current.jwks() is rotated
    clock.advance(1)
    assert started.current.jwks().etag not in {document.etag, rotated.etag}


async def test_what_makes_keys_on_a_thread_changes_nothing_that_the_event_loop_reads(
    store: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    watched = Watched(Node(store, clock), monkeypatch)
    service = watched.node.service
    await service.load(serving=True)
    clock.advance(30 * DAY_SECONDS)
    await service.maintain(steady=True)
    clock.advance(1)
    await service.rotate(at_once=True)
    await service.revoke(watched.node.signing_kid())
    await service.replace()
    assert watched.plans == 6


async def test_a_master_key_that_is_changed_while_a_thread_seals_is_read_on_the_event_loop(
    store: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(await node(store, FakeClock()), monkeypatch)
    token_key = watched.node.current.token_key("refresh token")

    def change() -> None:
        watched.node.master = ["a new master key, as long as that", "a master key of enough characters"]

    watched.before = change
    # Sealed under the master key that was known when it began; the next one takes the new one.
    assert await watched.node.service.rewrap() == 3
    assert await watched.node.service.rewrap() == 3
    assert watched.plans == 2
    restarted = await node(store, FakeClock(), master=watched.node.master[:1])
    assert restarted.current.token_key("refresh token") == token_key


async def test_replaced_keys_are_believed_by_no_server_and_the_audit_log_keeps_its_own(store: Repositories) -> None:
    clock = FakeClock()
    started, command = await node(store, clock), await node(store, clock)
    for _ in range(2):
        token, derived, audit = (
            started.sign(),
            started.current.token_key("refresh token"),
            started.service.audit_key,
        )
        before = set(await kids(store))
        await command.service.replace()
        await started.current.refresh()
        assert not started.knows(token)
        assert not before & set(started.published())
        assert started.current.token_key("refresh token") == command.current.token_key("refresh token") != derived
        assert started.knows(command.sign())
        restarted = await node(store, clock)
        assert restarted.current.token_key("refresh token") == command.current.token_key("refresh token")
        assert restarted.service.audit_key == started.service.audit_key == audit
        # What nothing needs any more is gone: the audit log's, and the one of today.
        assert len(root_keys(await store.keys.list_keys())) == 2
        # A clock that went back does not change which is which.
        clock.advance(-1000)


async def test_replaced_keys_can_be_sealed_under_a_new_master_key(store: Repositories) -> None:
    clock = FakeClock()
    started = await node(store, clock)
    await started.service.replace()
    derived, audit = started.current.token_key("refresh token"), started.service.audit_key
    rewrapping = await node(store, clock, master=["a new master key, as long as that", *started.master])
    await rewrapping.service.rewrap()
    restarted = await node(store, clock, master=["a new master key, as long as that"])
    assert (restarted.current.token_key("refresh token"), restarted.service.audit_key) == (derived, audit)


async def test_a_key_for_tokens_that_can_not_be_opened_is_a_failure_of_the_moment(store: Repositories) -> None:
    clock = FakeClock()
    started = await node(store, clock)
    renewing = await node(store, clock, master=["a new master key, as long as that", *started.master])
    await renewing.service.rewrap()
    await renewing.service.replace()
    await started.current.refresh()
    with pytest.raises(StoreUnavailable):
        started.current.token_key("refresh token")
    started.master = renewing.master
    assert started.current.token_key("refresh token") == renewing.current.token_key("refresh token")
