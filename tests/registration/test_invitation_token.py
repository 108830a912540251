from __future__ import annotations

import pytest

from server.registration.invitation_token import InvitationTokens
from server.sessions.refresh_token import RefreshTokens
from tests.records import id_of

TOKENS = InvitationTokens(b"k" * 32)


def test_a_token_names_its_invitation() -> None:
    token = TOKENS.issue(id_of(1))
    assert token.startswith("wwi_")
    assert TOKENS.read(token) == id_of(1)
    assert TOKENS.issue(id_of(2)) != token


@pytest.mark.parametrize(
    "text",
    [
        "",
        "wwi_",
        "wwi_AAAA",
        TOKENS.issue(id_of(1))[:-1],
        TOKENS.issue(id_of(1)).replace("wwi_", "wwr_"),
        TOKENS.issue(id_of(1)) + "=",
        InvitationTokens(b"j" * 32).issue(id_of(1)),
        RefreshTokens(b"k" * 32).issue(id_of(1), 0),
        RefreshTokens(b"k" * 32).issue(id_of(1), 0).replace("wwr_", "wwi_"),
        "wwi_\0\ud800",
        id_of(1),
    ],
)
def test_what_was_not_issued_for_an_invitation_names_none(text: str) -> None:
    assert TOKENS.read(text) is None
