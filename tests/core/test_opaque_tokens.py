from __future__ import annotations

import random
import string
from collections.abc import Callable

import pytest

from server.core.opaque_tokens import OpaqueTokens
from server.sessions.refresh_token import RefreshToken, RefreshTokens
from server.users.reset_token import ResetToken, ResetTokens
from tests.forging import base64url

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
TOKENS = OpaqueTokens(KEY, "wwx_")
SESSION = "01990000-0000-7000-8000-000000000003"
USER = "01990000-0000-7000-8000-000000000001"
REFRESH = RefreshTokens(KEY)
RESET = ResetTokens(KEY)
RESET_CONTENT = ResetToken(USER, 1_790_000_900_000, 1_789_000_000_000)
ALPHABET = string.ascii_letters + string.digits + "-_"

Read = Callable[[str], object]


@pytest.mark.parametrize("content", [b"", b"x", b"\0" * 16, bytes(range(256))])
def test_what_was_issued_is_read(content: bytes) -> None:
    token = TOKENS.issue(content)
    assert token.startswith("wwx_")
    assert set(token[4:]) <= set(ALPHABET)
    assert TOKENS.read(token) == content
    assert OpaqueTokens(KEY, "wwx_").issue(content) == token


def test_another_key_or_another_purpose_reads_nothing() -> None:
    token = TOKENS.issue(b"content")
    assert OpaqueTokens(OTHER_KEY, "wwx_").read(token) is None
    assert OpaqueTokens(KEY, "wwy_").read(token) is None
    assert OpaqueTokens(KEY, "wwy_").read("wwy_" + token[4:]) is None
    assert OpaqueTokens(KEY, "wwx").read(token) is None
    assert TOKENS.read(OpaqueTokens(KEY, "wwx_w").issue(b"content")) is None


def test_a_key_that_is_replaced_reads_nothing_of_before() -> None:
    key = KEY
    tokens = OpaqueTokens(lambda: key, "wwx_")
    before = tokens.issue(b"content")
    assert tokens.read(before) == b"content"
    key = OTHER_KEY
    assert tokens.read(before) is None
    assert tokens.issue(b"content") == OpaqueTokens(OTHER_KEY, "wwx_").issue(b"content")
    key = KEY
    assert tokens.read(before) == b"content"


def test_a_prefix_and_a_content_that_read_alike_together_are_two_things() -> None:
    one, other = OpaqueTokens(KEY, "ww"), OpaqueTokens(KEY, "wwx")
    assert one.issue(b"xcontent")[2:] != other.issue(b"content")[3:]
    assert one._mac(b"xcontent") != other._mac(b"content")


@pytest.mark.parametrize(
    ("read", "token"),
    [
        (TOKENS.read, TOKENS.issue(b"sixteen bytes!!!")),
        (REFRESH.read, REFRESH.issue(SESSION, 7)),
        (RESET.read, RESET.issue(RESET_CONTENT)),
    ],
    ids=["opaque", "refresh", "reset"],
)
class TestEveryKind:
    def test_no_other_character_anywhere_is_taken(self, read: Read, token: str) -> None:
        assert read(token) is not None
        seed = random.Random(4)
        for place, right in enumerate(token):
            for wrong in {*seed.sample(ALPHABET, 12), "=", " ", "\n", "\0", "+", "/", "é", "\ud800"} - {right}:
                assert read(token[:place] + wrong + token[place + 1 :]) is None

    def test_nothing_may_be_missing_or_too_much(self, read: Read, token: str) -> None:
        for length in range(len(token)):
            assert read(token[:length]) is None
        for place in range(len(token) + 1):
            for more in ("A", "=", "==", " ", "\n", ".", "\0", "é"):
                assert read(token[:place] + more + token[place:]) is None

    def test_the_spare_bits_of_the_last_character_make_no_second_spelling(self, read: Read, token: str) -> None:
        for last in ALPHABET.replace(token[-1], ""):
            assert read(token[:-1] + last) is None

    @pytest.mark.parametrize("spell", [str.upper, str.lower, str.swapcase], ids=["upper", "lower", "swapped"])
    def test_the_case_counts(self, read: Read, token: str, spell: Callable[[str], str]) -> None:
        assert read(spell(token)) is None
        assert read(token[:4] + spell(token[4:])) is None


def test_content_cannot_be_moved_to_the_other_side_of_the_mac() -> None:
    forged = "wwx_" + base64url(b"content" + bytes(32))
    assert TOKENS.read(forged) is None
    assert TOKENS.read("wwx_" + base64url(TOKENS._mac(b"")[:31])) is None
    assert TOKENS.read("wwx_") is None


def test_a_refresh_token_carries_its_session_and_step() -> None:
    for step in (0, 1, 2**40, 2**64 - 1):
        token = REFRESH.issue(SESSION, step)
        assert token.startswith("wwr_")
        assert REFRESH.read(token) == RefreshToken(SESSION, step)


def test_the_refresh_token_of_a_step_can_be_made_again_and_those_of_others_differ() -> None:
    again = RefreshTokens(KEY)
    assert REFRESH.issue(SESSION, 1) == again.issue(SESSION, 1)
    made = {
        REFRESH.issue(SESSION, 1),
        REFRESH.issue(SESSION, 2),
        REFRESH.issue(USER, 1),
        RefreshTokens(OTHER_KEY).issue(SESSION, 1),
    }
    assert len(made) == 4


def test_a_reset_token_carries_user_expiry_and_the_state_of_the_password() -> None:
    token = RESET.issue(RESET_CONTENT)
    assert token.startswith("wwp_")
    assert RESET.read(token) == RESET_CONTENT


def test_each_part_of_a_reset_token_changes_it() -> None:
    made = {
        RESET.issue(RESET_CONTENT),
        RESET.issue(ResetToken(SESSION, RESET_CONTENT.expires_at, RESET_CONTENT.password_changed_at)),
        RESET.issue(ResetToken(USER, RESET_CONTENT.expires_at + 1, RESET_CONTENT.password_changed_at)),
        RESET.issue(ResetToken(USER, RESET_CONTENT.expires_at, RESET_CONTENT.password_changed_at + 1)),
        ResetTokens(OTHER_KEY).issue(RESET_CONTENT),
    }
    assert len(made) == 5


def test_one_kind_is_not_taken_for_the_other_even_under_the_same_key() -> None:
    refresh, reset = REFRESH.issue(SESSION, 1), RESET.issue(RESET_CONTENT)
    assert REFRESH.read(reset) is None
    assert RESET.read(refresh) is None
    assert REFRESH.read("wwr_" + reset[4:]) is None
    assert RESET.read("wwp_" + refresh[4:]) is None


@pytest.mark.parametrize("content", [b"", b"x" * 23, b"x" * 25, b"x" * 31, b"x" * 33])
def test_genuine_content_of_another_length_is_no_token(content: bytes) -> None:
    assert REFRESH.read(OpaqueTokens(KEY, "wwr_").issue(content)) is None
    assert RESET.read(OpaqueTokens(KEY, "wwp_").issue(content)) is None
