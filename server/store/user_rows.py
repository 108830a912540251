"""How an account is written into its row: the columns, and what is derived from names."""

from __future__ import annotations

# The fields of records.User, in their order.
USER = "id, username, name, role, disabled_at, created_at, updated_at, last_login_at"


def username_key(username: str) -> str:
    """What is unique: two users may not differ by case alone."""
    return username.casefold()


def search_text(username: str, name: str) -> str:
    """What the text filter looks through: folded here, so both stores find the same."""
    return f"{username}\n{name}".casefold()
