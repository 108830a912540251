from __future__ import annotations

from typing import Any

import pytest

from server.keys.key_material import public_jwk
from server.keys.keyring import LEEWAY_MS, Keyring, KeyState
from tests.forging import record, signing_key

TTL_SECONDS = 900
LIFE_MS = TTL_SECONDS * 1000 + LEEWAY_MS
FIRST, SECOND, OTHER = signing_key("ES256"), signing_key("ES256", 2), signing_key("EdDSA")
SECRET, OLD_SECRET = signing_key("HS256"), signing_key("HS256", 2)


def ring(*records: Any, algorithm: str = "ES256", secrets: Any = ()) -> Keyring:
    return Keyring(records, algorithm=algorithm, secrets=secrets)


def published(keyring: Keyring, now_ms: int) -> list[str]:
    return [key["kid"] for key in keyring.jwks(now_ms)["keys"]]


def signs(keyring: Keyring, now_ms: int) -> str | None:
    found = keyring.signing_record(now_ms)
    return None if found is None else found.kid


def test_a_key_signs_from_its_activation_until_its_successors() -> None:
    keyring = ring(record(SECOND, 2000), record(FIRST, 1000))
    assert [signs(keyring, now) for now in (1000, 1999, 2000, 10**15)] == [FIRST.kid, FIRST.kid, SECOND.kid, SECOND.kid]
    assert [found.kid for found in keyring.chain()] == [FIRST.kid, SECOND.kid]


def test_a_clock_that_is_behind_signs_with_the_first_key() -> None:
    assert signs(ring(record(FIRST, 1000), record(SECOND, 2000)), 999) == FIRST.kid


def test_a_key_is_believed_and_published_before_it_signs_and_until_its_last_token_has_expired() -> None:
    keyring = ring(record(FIRST, 1000), record(SECOND, 2000))
    end = 2000 + LIFE_MS
    for now in (0, 1999, 2000, end - 1):
        assert published(keyring, now) == [FIRST.kid, SECOND.kid]
        assert keyring.verification_key(FIRST.kid, now) is not None
    assert published(keyring, end) == [SECOND.kid]
    assert keyring.verification_key(FIRST.kid, end) is None
    assert keyring.verification_key(SECOND.kid, end) is not None
    assert [keyring.accepted_until(found) for found in keyring.records] == [end, None]
    assert [keyring.jwks_changes_at(now) for now in (0, end - 1, end)] == [end, end, None]


def test_a_key_is_believed_as_long_as_the_longest_life_that_its_tokens_were_given() -> None:
    keyring = ring(record(FIRST, 1000, ttl_seconds=7200), record(SECOND, 2000))
    assert keyring.accepted_until(keyring.records[0]) == 2000 + 7_200_000 + LEEWAY_MS


def test_the_states_of_a_key_follow_each_other() -> None:
    records = [record(FIRST, 1000), record(SECOND, 2000), record(signing_key("ES256", 3), 3000)]
    keyring = ring(*records)
    first, second, third = (
        [keyring.state(one, now) for now in (1000, 1999, 2000, 2999, 3000, 10**15)] for one in records
    )
    new, active, old = KeyState.NEXT, KeyState.ACTIVE, KeyState.RETIRED
    assert first == [active, active, old, old, old, old]
    assert second == [new, new, active, active, old, old]
    assert third == [new, new, new, new, active, active]


def test_a_revoked_key_is_neither_believed_nor_published_and_signs_no_more() -> None:
    revoked = record(SECOND, 2000, revoked_at=2500, sealed=b"")
    keyring = ring(record(FIRST, 1000), revoked, record(signing_key("ES256", 3), 2500))
    assert keyring.state(revoked, 2400) is KeyState.REVOKED
    assert keyring.verification_key(SECOND.kid, 2500) is None
    assert SECOND.kid not in published(keyring, 2500)
    assert signs(keyring, 2600) == signing_key("ES256", 3).kid
    # The one before it was succeeded by it all the same.
    assert keyring.accepted_until(keyring.records[0]) == 2000 + LIFE_MS
    assert keyring.accepted_until(revoked) == 2500 + LIFE_MS


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
    assert set(published(keyring, end - 1)) == {FIRST.kid, OTHER.kid}
    assert published(keyring, end) == [OTHER.kid]


def test_the_first_secret_signs_and_all_verify_and_none_is_published() -> None:
    keyring = ring(record(SECRET, 1000), algorithm="HS256", secrets=[SECRET, OLD_SECRET])
    assert keyring.signing_secret() == SECRET
    assert keyring.signing_record(1000) is None
    for secret in (SECRET, OLD_SECRET):
        found = keyring.verification_key(secret.kid, 10**15)
        assert found is not None
        assert (found.algorithm, found.material) == ("HS256", secret.material)
    assert keyring.jwks(1000) == {"keys": []}


def test_a_key_pair_lives_out_when_a_secret_takes_over() -> None:
    keyring = ring(record(FIRST, 1000), record(SECRET, 2000), algorithm="HS256", secrets=[SECRET])
    end = 2000 + LIFE_MS
    assert keyring.verification_key(FIRST.kid, end - 1) is not None
    assert published(keyring, end - 1) == [FIRST.kid]
    assert keyring.verification_key(FIRST.kid, end) is None
    assert published(keyring, end) == []


def test_a_secret_lives_out_when_a_key_pair_takes_over() -> None:
    keyring = ring(record(SECRET, 1000), record(FIRST, 2000), secrets=[SECRET])
    end = 2000 + LIFE_MS
    assert keyring.signing_secret() is None
    assert keyring.verification_key(SECRET.kid, end - 1) is not None
    assert keyring.verification_key(SECRET.kid, end) is None


def test_a_secret_that_never_signed_here_is_not_believed_beside_key_pairs() -> None:
    assert ring(record(FIRST, 2000), secrets=[SECRET]).verification_key(SECRET.kid, 2000) is None


def test_what_is_no_signing_key_is_none_of_the_rings() -> None:
    derivation = record(FIRST, 1000, algorithm="HKDF", public_jwk="")
    keyring = ring(derivation, record(SECOND, 2000))
    assert published(keyring, 2000) == [SECOND.kid]
    assert keyring.verification_key(FIRST.kid, 2000) is None
    assert [found.kid for found in keyring.records] == [SECOND.kid]
