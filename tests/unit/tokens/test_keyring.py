from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.clock import SystemClock
from server.errors import StoreRefused
from server.ids import Ids, SystemRandomness
from server.store.open import open_store
from server.store.protocol import Store
from server.tokens.keyring import Keyring
from server.tokens.keys import public_jwk, secret_kid
from server.tokens.keyservice import KeyService
from server.tokens.sealing import MasterKey
from server.tokens.signer import Signer
from server.tokens.verifier import UnknownKey, Verifier
from tests.clock import FakeClock
from tests.unit.tokens import AUDIENCE, CLAIMS, ISSUER, record, signing_key

TTL_SECONDS = 900
LIFE_MS = (TTL_SECONDS + 60) * 1000
DAY_SECONDS = 86_400
AHEAD_SECONDS = 600
FIRST, SECOND, OTHER = signing_key("ES256"), signing_key("ES256", 2), signing_key("EdDSA")


def ring(*records: Any, algorithm: str = "ES256", secret: Any = None) -> Keyring:
    return Keyring(records, algorithm=algorithm, access_ttl_seconds=TTL_SECONDS, secret=secret)


def published(keyring: Keyring, now_ms: int) -> list[str]:
    return [key["kid"] for key in keyring.jwks(now_ms)["keys"]]


def signs(keyring: Keyring, now_ms: int) -> str | None:
    found = keyring.signing_record(now_ms)
    return None if found is None else found.kid


def test_a_key_signs_from_its_activation_until_its_successors() -> None:
    keyring = ring(record(SECOND, 2000), record(FIRST, 1000))
    assert [signs(keyring, now) for now in (1000, 1999, 2000, 10**15)] == [FIRST.kid, FIRST.kid, SECOND.kid, SECOND.kid]
    latest = keyring.latest_record()
    assert latest is not None
    assert latest.kid == SECOND.kid


def test_a_clock_that_is_behind_signs_with_the_first_key() -> None:
    assert signs(ring(record(FIRST, 1000), record(SECOND, 2000)), 999) == FIRST.kid


def test_a_key_is_believed_and_published_before_it_signs_and_until_its_last_token_has_expired() -> None:
    keyring = ring(record(FIRST, 1000), record(SECOND, 2000))
    end = 2000 + LIFE_MS
    for now in (0, 1999, 2000, end - 1):
        assert published(keyring, now) == [FIRST.kid, SECOND.kid]
        assert keyring.verification_key(FIRST.kid, now) is not None
        assert keyring.spent(now) == []
    assert published(keyring, end) == [SECOND.kid]
    assert keyring.verification_key(FIRST.kid, end) is None
    assert keyring.verification_key(SECOND.kid, end) is not None
    assert [spent.kid for spent in keyring.spent(end)] == [FIRST.kid]


def test_the_published_set_holds_the_public_keys_as_they_are() -> None:
    assert ring(record(FIRST, 1000)).jwks(1000) == {"keys": [public_jwk(FIRST.material, "ES256")]}


def test_a_key_is_found_with_its_algorithm_by_its_name_alone() -> None:
    keyring = ring(record(FIRST, 1000), record(OTHER, 1000))
    found = keyring.verification_key(OTHER.kid, 1000)
    assert found is not None
    assert (found.kid, found.algorithm, found.material) == (OTHER.kid, "EdDSA", OTHER.material.public_key())
    assert keyring.verification_key("unknown", 1000) is None
    assert keyring.verification_key("", 1000) is None


@pytest.mark.parametrize("changed_at", [1000, 5000])
def test_the_first_key_of_a_new_algorithm_succeeds_the_last_of_the_old(changed_at: int) -> None:
    keyring = ring(record(FIRST, 1000), record(OTHER, changed_at), algorithm="EdDSA")
    end = changed_at + LIFE_MS
    assert signs(keyring, changed_at) == OTHER.kid
    assert published(keyring, end - 1) in ([FIRST.kid, OTHER.kid], [OTHER.kid, FIRST.kid])
    assert published(keyring, end) == [OTHER.kid]


def test_a_shared_secret_is_believed_and_not_published() -> None:
    secret = signing_key("HS256")
    keyring = ring(algorithm="HS256", secret=secret)
    found = keyring.verification_key(secret.kid, 10**15)
    assert found is not None
    assert (found.algorithm, found.material) == ("HS256", secret.material)
    assert keyring.jwks(1000) == {"keys": []}
    assert keyring.signing_record(1000) is None
    assert keyring.latest_record() is None


class Node:
    """A server's keys, with what signs and verifies by them."""

    def __init__(self, store: Store, clock: FakeClock, **changes: Any) -> None:
        ids = Ids(SystemClock(), SystemRandomness())
        self.clock = clock
        self.service = KeyService(
            store=store,
            master_key=MasterKey(changes.get("master_key", "a master key of enough characters"), ids),
            algorithm=changes.get("algorithm", "ES256"),
            secret="a shared secret of more than 32 bytes",
            access_ttl_seconds=TTL_SECONDS,
            rotate_every_days=30,
            clock=clock,
        )
        self._verifier = Verifier(self.service, issuer=ISSUER, audience=AUDIENCE)

    def sign(self) -> str:
        now = self.clock.now_ms() // 1000
        return Signer(self.service).sign(replace(CLAIMS, issued_at=now, expires_at=now + TTL_SECONDS))

    def knows(self, token: str) -> bool:
        try:
            self._verifier.verify(token, self.clock.now_ms())
        except UnknownKey:
            return False
        return True

    def published(self) -> list[str]:
        return published(self.service.keyring, self.clock.now_ms())

    def signing_kid(self) -> str:
        return self.service.signing_key().kid


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(f"sqlite:///{tmp_path}/watchword.db", serving=True)
    yield opened
    await opened.close()


async def node(store: Store, clock: FakeClock, **changes: Any) -> Node:
    made = Node(store, clock, **changes)
    await made.service.load()
    return made


async def kids(store: Store) -> list[str]:
    return [key.kid for key in await store.list_signing_keys()]


async def test_the_first_start_makes_a_key_and_the_next_ones_use_it(store: Store) -> None:
    clock = FakeClock()
    first, second = await node(store, clock), await node(store, clock)
    assert await kids(store) == [first.signing_kid()] == first.published() == second.published()
    assert second.knows(first.sign())
    assert first.knows(second.sign())


async def test_the_private_key_is_not_readable_in_the_store(store: Store) -> None:
    started = await node(store, FakeClock())
    (key,) = await store.list_signing_keys()
    private = started.service.signing_key().material.private_numbers().private_value.to_bytes(32, "big")
    assert private not in key.sealed_private_key
    assert '"d"' not in key.public_jwk


async def test_a_wrong_master_key_refuses_the_start_and_changes_nothing(store: Store) -> None:
    await node(store, FakeClock())
    before = await store.list_signing_keys()
    with pytest.raises(StoreRefused, match="master key"):
        await node(store, FakeClock(), master_key="another master key, as long as that")
    assert await store.list_signing_keys() == before


async def test_a_key_is_rotated_at_its_age_and_not_before(store: Store) -> None:
    clock = FakeClock()
    started = await node(store, clock)
    clock.advance(30 * DAY_SECONDS - 1)
    await started.service.maintain()
    assert len(await kids(store)) == 1
    clock.advance(1)
    await started.service.maintain()
    assert len(await kids(store)) == 2
    await started.service.maintain()
    assert len(await kids(store)) == 2


async def test_rotation_publishes_first_then_signs_then_forgets_and_no_token_fails(store: Store) -> None:
    clock = FakeClock()
    started = await node(store, clock)
    old = started.signing_kid()
    clock.advance(30 * DAY_SECONDS)
    await started.service.maintain()
    _, new = await kids(store)
    assert started.published() == [old, new]
    clock.advance(AHEAD_SECONDS - 1)
    assert started.signing_kid() == old
    last_token = started.sign()
    clock.advance(1)
    assert started.signing_kid() == new
    assert started.knows(last_token)
    clock.advance(LIFE_MS / 1000 - 1)
    await started.service.maintain()
    assert started.published() == [old, new]
    clock.advance(1)
    assert started.published() == [new]
    assert not started.knows(last_token)
    await started.service.maintain()
    assert await kids(store) == [new]
    assert started.knows(started.sign())


async def test_nodes_that_rotate_at_once_make_one_key(store: Store) -> None:
    clock = FakeClock()
    nodes = [await node(store, clock) for _ in range(4)]
    clock.advance(30 * DAY_SECONDS)
    await asyncio.gather(*(each.service.maintain() for each in nodes))
    for each in nodes:
        await each.service.maintain()
    assert len(await kids(store)) == 2
    assert {tuple(each.published()) for each in nodes} == {tuple(await kids(store))}


async def test_nodes_that_start_at_once_make_one_key(store: Store) -> None:
    clock = FakeClock()
    nodes = await asyncio.gather(*(node(store, clock) for _ in range(4)))
    assert {each.signing_kid() for each in nodes} == set(await kids(store))
    assert len(await kids(store)) == 1


async def test_a_node_learns_an_unknown_key_from_the_store_but_looks_at_most_each_5_seconds(store: Store) -> None:
    clock = FakeClock()
    behind, ahead = await node(store, clock), await node(store, clock)
    clock.advance(30 * DAY_SECONDS)
    await ahead.service.maintain()
    clock.advance(AHEAD_SECONDS)
    token = ahead.sign()
    assert not behind.knows(token)
    assert await behind.service.maybe_reload()
    assert behind.knows(token)
    clock.advance(4.9)
    assert not await behind.service.maybe_reload()
    clock.advance(0.2)
    assert await behind.service.maybe_reload()


async def test_another_algorithm_takes_over_at_the_next_start_and_old_tokens_live_out(store: Store) -> None:
    clock = FakeClock()
    token = (await node(store, clock)).sign()
    clock.advance(60)
    changed = await node(store, clock, algorithm="EdDSA")
    assert changed.service.signing_key().algorithm == "EdDSA"
    assert changed.knows(token)
    assert changed.knows(changed.sign())
    clock.advance(LIFE_MS / 1000)
    await changed.service.maintain()
    assert await kids(store) == [changed.signing_kid()]


async def test_a_shared_secret_makes_no_key_publishes_none_and_believes_none(store: Store) -> None:
    clock = FakeClock()
    token = (await node(store, clock)).sign()
    shared = await node(store, clock, algorithm="HS256")
    await shared.service.maintain()
    assert shared.signing_kid() == secret_kid(b"a shared secret of more than 32 bytes")
    assert shared.published() == []
    assert not shared.knows(token)
    assert shared.knows(shared.sign())
    assert len(await kids(store)) == 1


async def test_keys_that_were_taken_from_the_store_are_missed(store: Store) -> None:
    started = await node(store, FakeClock())
    await store.delete_signing_key(started.signing_kid())
    await started.service.maintain()
    with pytest.raises(StoreRefused, match="restart"):
        started.service.signing_key()
    await started.service.load()
    assert started.knows(started.sign())
