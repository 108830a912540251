from __future__ import annotations

import random

import pytest

from server.core.clock import SystemClock
from server.core.errors import StoreRefused
from server.core.ids import Ids, SystemRandomness
from server.keys.sealing import MasterKey, derive

IDS = Ids(SystemClock(), SystemRandomness())
MASTER = MasterKey(["a master key of enough characters"], IDS)
SEALED = MASTER.seal(b"a private key", "kid 1")


@pytest.mark.parametrize("plaintext", [b"", b"a private key", bytes(range(256)) * 10])
def test_what_was_sealed_is_unsealed(plaintext: bytes) -> None:
    sealed = MASTER.seal(plaintext, "kid 1")
    assert MASTER.unseal(sealed, "kid 1") == plaintext
    assert MasterKey(["a master key of enough characters"], IDS).unseal(sealed, "kid 1") == plaintext


def test_sealing_twice_gives_two_texts_that_do_not_show_the_content() -> None:
    first, second = MASTER.seal(b"a private key", "kid 1"), MASTER.seal(b"a private key", "kid 1")
    assert first[1:13] != second[1:13]
    assert first[13:] != second[13:]
    assert b"a private key" not in first


@pytest.mark.parametrize("text", ["a master key of enough characterz", "", "A master key of enough characters"])
def test_another_master_key_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(StoreRefused, match=r"keys\.master_key"):
        MasterKey([text], IDS).unseal(SEALED, "kid 1")


@pytest.mark.parametrize("context", ["kid 2", "", "kid 1 "])
def test_what_was_sealed_for_one_place_does_not_open_in_another(context: str) -> None:
    with pytest.raises(StoreRefused):
        MASTER.unseal(SEALED, context)


@pytest.mark.parametrize("place", range(len(SEALED)))
def test_a_change_of_any_byte_is_noticed(place: int) -> None:
    bit = 1 << random.Random(place).randrange(8)
    altered = bytes(byte ^ bit if at == place else byte for at, byte in enumerate(SEALED))
    with pytest.raises(StoreRefused):
        MASTER.unseal(altered, "kid 1")


@pytest.mark.parametrize("length", range(len(SEALED)))
def test_what_was_cut_off_is_refused(length: int) -> None:
    with pytest.raises(StoreRefused):
        MASTER.unseal(SEALED[:length], "kid 1")


def test_each_purpose_has_a_key_of_its_own_that_stays_the_same() -> None:
    purposes = ("refresh tokens", "reset tokens", "seal private keys")
    found = [derive(b"the material", purpose) for purpose in purposes]
    assert found == [derive(b"the material", purpose) for purpose in purposes]
    assert len({*found, *(derive(b"other material", purpose) for purpose in purposes)}) == 6
    assert [len(derive(b"the material", "x")), len(derive(b"the material", "x", 64))] == [32, 64]


def test_what_any_of_the_master_keys_has_sealed_opens_and_the_first_one_seals() -> None:
    both = MasterKey(["a new master key that is as long", "a master key of enough characters"], IDS)
    assert both.unseal(SEALED, "kid 1") == b"a private key"
    sealed = both.seal(b"a private key", "kid 1")
    assert MasterKey(["a new master key that is as long"], IDS).unseal(sealed, "kid 1") == b"a private key"
    with pytest.raises(StoreRefused):
        MASTER.unseal(sealed, "kid 1")
