from __future__ import annotations

from dataclasses import replace

from tests.clock import START_MS
from tests.forging import CLAIMS
from watchword_client.cache import VerifiedTokens


def test_what_was_added_is_found_and_nothing_else() -> None:
    tokens = VerifiedTokens(10)
    tokens.add("one", CLAIMS, START_MS)
    tokens.add("two", replace(CLAIMS, role="admin"), START_MS)
    assert tokens.get("one", START_MS) == CLAIMS
    assert tokens.get("two", START_MS) == replace(CLAIMS, role="admin")
    assert tokens.get("three", START_MS) is None
    assert tokens.get("on", START_MS) is None


def test_a_token_is_found_until_it_expires_and_is_gone_then() -> None:
    tokens = VerifiedTokens(10)
    tokens.add("one", CLAIMS, START_MS)
    expires_ms = CLAIMS.expires_at * 1000
    assert tokens.get("one", expires_ms - 1) == CLAIMS
    assert tokens.get("one", expires_ms) is None
    assert len(tokens) == 0


def test_when_it_is_full_the_oldest_goes() -> None:
    tokens = VerifiedTokens(3)
    for number in range(5):
        tokens.add(f"token {number}", replace(CLAIMS, jti=str(number)), START_MS)
        assert len(tokens) <= 3
    found = [tokens.get(f"token {number}", START_MS) for number in range(5)]
    assert [claims.jti if claims else None for claims in found] == [None, None, "2", "3", "4"]


def test_a_hit_does_not_keep_an_entry() -> None:
    tokens = VerifiedTokens(2)
    tokens.add("first", CLAIMS, START_MS)
    tokens.add("second", CLAIMS, START_MS)
    assert tokens.get("first", START_MS) == CLAIMS
    tokens.add("third", CLAIMS, START_MS)
    assert tokens.get("first", START_MS) is None
    assert tokens.get("second", START_MS) == CLAIMS


def test_size_zero_remembers_nothing() -> None:
    tokens = VerifiedTokens(0)
    tokens.add("one", CLAIMS, START_MS)
    assert tokens.get("one", START_MS) is None
    assert len(tokens) == 0


def test_what_has_expired_makes_room_for_what_is_new() -> None:
    """So the memory follows the tokens that live, however large the size is."""
    tokens = VerifiedTokens(1000)
    expires_ms = CLAIMS.expires_at * 1000
    for number in range(100):
        tokens.add(f"old {number}", CLAIMS, START_MS)
    later = replace(CLAIMS, issued_at=CLAIMS.expires_at, expires_at=CLAIMS.expires_at + 300, not_before=None)
    for number in range(100):
        tokens.add(f"new {number}", later, expires_ms)
        assert len(tokens) <= 100
    assert all(tokens.get(f"new {number}", expires_ms) == later for number in range(100))
    assert len(tokens) == 100


def test_one_that_lives_for_longer_than_others_holds_up_nothing_for_good() -> None:
    tokens = VerifiedTokens(10)
    expires_ms = CLAIMS.expires_at * 1000
    tokens.add("long", replace(CLAIMS, expires_at=CLAIMS.expires_at + 1000), START_MS)
    for number in range(30):
        tokens.add(f"new {number}", replace(CLAIMS, expires_at=CLAIMS.expires_at + 300), expires_ms)
        assert len(tokens) <= 10
    assert tokens.get("new 29", expires_ms) is not None
