from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from server.audit.chain import START, AuditChain
from server.audit.model import AuditRecord

CHAIN = AuditChain(b"a key for tests")
FIELDS: tuple[Any, ...] = (
    1,
    1_790_000_000_000,
    "user_created",
    "a",
    "sahan",
    "t",
    "lak",
    "http",
    "::1",
    "r-1",
    None,
    "{}",
)
RECORD = AuditRecord(*(*FIELDS, CHAIN.link(START, FIELDS)))


def test_what_was_linked_holds() -> None:
    assert CHAIN.holds(START, RECORD)


def test_the_link_stays_the_same_in_later_editions() -> None:
    """Else the logs that are out there would count as altered."""
    assert RECORD.hash == "6304afaee59a2eeba24c2397061ff1f28c0bf395a74a98085465123fc4873c67"


@pytest.mark.parametrize("number", range(len(FIELDS)))
def test_a_change_of_any_column_breaks_the_link(number: int) -> None:
    for other in (None, "", "x", 0, 2, "null"):
        if other == FIELDS[number]:
            continue
        changed = [*FIELDS[:number], other, *FIELDS[number + 1 :]]
        assert not CHAIN.holds(START, AuditRecord(*[*changed, RECORD.hash]))


def test_a_value_does_not_pass_for_its_neighbour() -> None:
    moved = replace(RECORD, actor_name=None, target_id="sahan")
    assert not CHAIN.holds(START, moved)
    assert not CHAIN.holds(START, replace(RECORD, actor_id='a","sahan', actor_name=None))


def test_another_key_or_another_place_breaks_the_link() -> None:
    assert not AuditChain(b"").holds(START, RECORD)
    assert not AuditChain(b"another key").holds(START, RECORD)
    assert not CHAIN.holds(RECORD.hash, RECORD)


@pytest.mark.parametrize("other", ["", "0" * 64, "é" * 64, "\ud800"])
def test_a_hash_that_is_none_breaks_the_link(other: str) -> None:
    assert not CHAIN.holds(START, replace(RECORD, hash=other))


@pytest.mark.parametrize("text", ["a\nb", "\u2028", "\u202e", "\x85", "\ud800", "🔑"])
def test_any_text_has_a_link(text: str) -> None:
    fields = (*FIELDS[:4], text, *FIELDS[5:])
    assert CHAIN.holds(START, AuditRecord(*(*fields, CHAIN.link(START, fields))))
