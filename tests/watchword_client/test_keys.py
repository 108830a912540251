"""The names of keys."""

from __future__ import annotations

from watchword_client.keys import secret_kid


def test_the_name_of_a_secret_changes_with_it_and_does_not_hold_it() -> None:
    secret = b"0123456789abcdef0123456789abcdef"
    assert secret_kid(secret) == secret_kid(secret)
    assert len({secret_kid(secret), secret_kid(secret + b"0"), secret_kid(secret[:-1]), secret_kid(b"")}) == 4
    assert len(secret_kid(secret)) == 16
