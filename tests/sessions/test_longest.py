"""The longest token that settings and names allow is taken by our own verifier."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.keys.signer import Signer
from server.settings.tree import Settings, TokenSettings
from server.users.names import USERNAME_BYTES, USERNAME_LENGTH, username_of
from tests.clock import START_MS
from tests.forging import ALGORITHMS, CLAIMS, Keys, signing_key
from watchword_client.errors import TokenInvalid
from watchword_client.token_checks import TokenChecks

# Each fills what its kind takes: two, three and four bytes of UTF-8, which JSON writes with 6, 6 and 12.
USERNAMES = ("ж" * USERNAME_LENGTH, "語" * (USERNAME_BYTES // 3), "𐐨" * (USERNAME_BYTES // 4), '"' * USERNAME_LENGTH)
LONGEST_ROLE = "r" * 64
# More methods than a sign-in here can have, but ways of signing in will be added (RFC 8176).
MANY_METHODS = ("pwd", "hwk", "user", "mfa", "swk", "phr")
LONGEST = replace(CLAIMS, role=LONGEST_ROLE, amr=MANY_METHODS)
# issuer, audience, and whether the settings take them.
LENGTHS = [
    ("i" * 200, "a" * 200, True),
    ('"' * 200, '"' * 200, True),
    ("é" * 140, "é" * 129 + "aa", True),
    ("é" * 140, "é" * 129 + "aaa", False),
    ("語" * 200, "a" * 200, True),
    ("語" * 200, "語" * 69, True),
    ("語" * 200, "語" * 200, False),
    ("😀" * 134, "a" * 8, True),
    ("😀" * 134, "a" * 9, False),
    ("a", "😀" * 200, False),
    ("😀" * 67, "😀" * 67, True),
    ("😀" * 200, "😀" * 200, False),
]


def problem_of(issuer: str, audience: str) -> str:
    try:
        Settings(tokens=TokenSettings(issuer=issuer, audience=audience))
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("issuer", "audience", "allowed"), LENGTHS)
def test_what_settings_allow_makes_tokens_that_are_taken(issuer: str, audience: str, allowed: bool) -> None:
    problem = problem_of(issuer, audience)
    assert problem == "" if allowed else "tokens.issuer: with tokens.audience it makes tokens so long" in problem
    for algorithm in ALGORITHMS:
        keys = Keys(signing_key(algorithm))
        for username in USERNAMES:
            claims = replace(LONGEST, issuer=issuer, audience=audience, username=username_of(username))
            token = Signer(keys).sign(claims)
            if allowed:
                assert TokenChecks(keys, issuer=issuer, audience=audience).verify(token, START_MS) == claims


def test_no_more_is_refused_than_has_to_be() -> None:
    keys = Keys(signing_key("RS256"))
    issuer, audience = "é" * 182, "é" * 89
    claims = replace(LONGEST, issuer=issuer, audience=audience, username="ж" * USERNAME_LENGTH)
    with pytest.raises(TokenInvalid) as caught:
        TokenChecks(keys, issuer=issuer, audience=audience).verify(Signer(keys).sign(claims), START_MS)
    assert caught.value.reason == "it is longer than 4096 characters"
