from __future__ import annotations

import re
import uuid

from server.clock import rfc3339
from server.ids import Ids, SystemRandomness, made_at
from tests.clock import START_MS, FakeClock


class Ones:
    def token_bytes(self, size: int) -> bytes:
        return b"\xff" * size


def test_an_id_is_a_uuid_of_version_7_that_holds_the_time() -> None:
    value = uuid.UUID(Ids(FakeClock(), SystemRandomness()).new_id())
    assert (value.version, value.variant) == (7, uuid.RFC_4122)
    assert value.int >> 80 == START_MS


def test_the_time_of_an_id_can_be_read_back_and_given() -> None:
    ids = Ids(FakeClock(), SystemRandomness())
    assert made_at(ids.new_id()) == START_MS
    assert made_at(ids.new_id(START_MS + 5)) == START_MS + 5
    assert made_at(str(uuid.uuid4())) is None
    assert made_at("j") is None


def test_every_random_bit_is_used() -> None:
    assert Ids(FakeClock(), Ones()).new_id().endswith("-7fff-bfff-ffffffffffff")


def test_ids_sort_by_time() -> None:
    clock = FakeClock()
    ids = Ids(clock, SystemRandomness())
    made = []
    for _ in range(50):
        made.append(ids.new_id())
        clock.advance(0.001)
    assert made == sorted(made)
    assert len(set(made)) == 50


def test_request_ids_differ_within_and_between_processes() -> None:
    first, second = Ids(FakeClock(), SystemRandomness()), Ids(FakeClock(), SystemRandomness())
    made = [first.new_request_id(), first.new_request_id(), second.new_request_id()]
    assert len(set(made)) == 3


def test_a_password_is_long_and_differs_each_time() -> None:
    ids = Ids(FakeClock(), SystemRandomness())
    password = ids.new_password()
    assert re.fullmatch("[a-z2-7]{8}(-[a-z2-7]{8}){3}", password)
    assert password != ids.new_password()


def test_times_are_rfc_3339() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"
    assert rfc3339(1_790_000_000_042) == "2026-09-21T14:13:20.042Z"
    assert rfc3339(1_790_000_000_999) == "2026-09-21T14:13:20.999Z"
