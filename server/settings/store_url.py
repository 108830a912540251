"""The URL of a store: an SQLite file or a PostgreSQL database."""

from __future__ import annotations

import re

# What other programs take for a home, a query, a folder or memory, would be a file of that very name here.
_NO_FILE = re.compile(r"~.*|.*\?.*|(?:.*/)?\.{0,2}|:memory:", re.DOTALL)


def store_url(text: str) -> str:
    """The text. Raises ValueError, which says what to write instead."""
    scheme = text.partition("://")[0]
    if text.startswith("sqlite:///"):
        if _NO_FILE.fullmatch(text, len("sqlite:///")):
            raise ValueError(
                "names no file as it stands; write sqlite:///path/to/file.db, without ~, ? or a / at its end"
            )
        return text
    if scheme in {"postgresql", "postgres"} and "://" in text:
        return text
    raise ValueError("is not a store; write sqlite:///path/to/file.db or postgresql://user@host/database")
