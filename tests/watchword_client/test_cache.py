from __future__ import annotations

from dataclasses import replace

from tests.clock import START_MS
from tests.forging import CLAIMS
from watchword_client.cache import VerifiedTokens


def test_what_was_added_is_found_and_nothing_else() -> None:
    tokens = VerifiedTokens(10)
    tokens.add("one", CLAIMS)
    tokens.add("two", replace(CLAIMS, role="admin"))
    assert tokens.get("one", START_MS) == CLAIMS
    assert tokens.get("two", START_MS) == replace(CLAIMS, role="admin")
    assert tokens.get("three", START_MS) is None
    assert tokens.get("on", START_MS) is None


def test_a_token_is_found_until_it_expires_and_is_gone_then() -> None:
    tokens = VerifiedTokens(10)
    tokens.add("one", CLAIMS)
    expires_ms = CLAIMS.expires_at * 1000
    assert tokens.get("one", expires_ms - 1) == CLAIMS
    assert tokens.get("one", expires_ms) is None
    assert len(tokens) == 0


def test_when_it_is_full_the_oldest_goes() -> None:
    tokens = VerifiedTokens(3)
    for number in range(5):
        tokens.add(f"token {number}", replace(CLAIMS, jti=str(number)))
        assert len(tokens) <= 3
    found = [tokens.get(f"token {number}", START_MS) for number in range(5)]
    assert [claims.jti if claims else None for claims in found] == [None, None, "2", "3", "4"]


def test_a_hit_does_not_keep_an_entry() -> None:
    tokens = VerifiedTokens(2)
    tokens.add("first", CLAIMS)
    tokens.add("second", CLAIMS)
    assert tokens.get("first", START_MS) == CLAIMS
    tokens.add("third", CLAIMS)
    assert tokens.get("first", START_MS) is None
    assert tokens.get("second", START_MS) == CLAIMS


def test_size_zero_remembers_nothing() -> None:
    tokens = VerifiedTokens(0)
    tokens.add("one", CLAIMS)
    assert tokens.get("one", START_MS) is None
    assert len(tokens) == 0
