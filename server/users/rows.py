"""How an account is written into its row: the columns, and what is derived from names."""

from __future__ import annotations

from server.users.names import search_form, username_key

# The fields of records.User, in their order.
USER = "id, username, name, role, disabled_at, created_at, updated_at, last_login_at"


def key_of(username: str) -> str:
    """What is unique. Raises ValueError for what can't be a username, which is checked before."""
    key = username_key(username)
    if key is None:
        raise ValueError(f"{username!r} is no username; ask server.users.names.username_of first")
    return key


def search_text(username: str, name: str) -> str:
    """What the text filter looks through: in one form, so both stores find the same."""
    return search_form(f"{username}\n{name}")
