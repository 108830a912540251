from __future__ import annotations

import re
import uuid

import pytest

from server.core.clock import read_rfc3339, rfc3339
from server.core.ids import Ids, SystemRandomness, derived_id, id_in, id_tail, made_at
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


ID = "019ab25f-6a0e-7c1d-9b63-3f0f6f7f8f10"


@pytest.mark.parametrize("text", [ID, ID.upper(), ID.title(), "019AB25F-6a0e-7c1d-9b63-3f0f6f7f8f10"])
def test_case_does_not_count_in_an_id_from_outside(text: str) -> None:
    """RFC 9562 section 4."""
    assert id_in(text) == ID


@pytest.mark.parametrize(
    "text",
    ["", ID[1:], ID + "\n", " " + ID, "{" + ID + "}", "urn:uuid:" + ID, ID.replace("-", ""),
     ID.replace("0", "\u0660", 1), ID.replace("a", "\uff21", 1), ID.replace("f", "g", 1)],
)  # fmt: skip
def test_what_is_no_id_is_none(text: str) -> None:
    assert id_in(text) is None


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


def test_an_id_that_is_derived_has_the_time_it_is_given_and_a_tail_of_its_content() -> None:
    first, later, other = derived_id(START_MS, b"a"), derived_id(START_MS + 9, b"a"), derived_id(START_MS, b"b")
    assert (made_at(first), made_at(later)) == (START_MS, START_MS + 9)
    assert id_tail(first) == id_tail(later) != id_tail(other)
    assert uuid.UUID(first).variant == uuid.RFC_4122
    assert first == derived_id(START_MS, b"a")


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1970-01-01T00:00:00.000Z", 0),
        ("2026-09-21T14:13:20.042Z", 1_790_000_000_042),
        ("2026-09-21 16:13:20.042999+02:00", 1_790_000_000_042),
        ("1969-12-31T23:59:59.999z", -1),
    ],
)
def test_times_of_rfc_3339_are_read(text: str, at: int) -> None:
    assert read_rfc3339(text) == at


@pytest.mark.parametrize("text", ["", "2026-09-21", "2026-09-21T14:13:20", "20260921T141320Z", "2026-13-01T00:00:00Z"])
def test_other_times_are_not(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_rfc3339(text)
