"""Checks `store.url`."""

from __future__ import annotations

import re

# What stands before the path of the file.
SQLITE = "sqlite:///"

# In other programs these mean the home folder, options, a folder or memory. Here they would be names of files.
_NO_FILE = re.compile(r"~.*|.*\?.*|(?:.*/)?\.{0,2}|:memory:", re.DOTALL)


def store_url(text: str) -> str:
    """The URL of an SQLite file or a PostgreSQL database. Raises ValueError, whose message says what to write."""
    scheme = text.partition("://")[0]
    if is_sqlite(text):
        if _NO_FILE.fullmatch(text, len(SQLITE)):
            raise ValueError(
                "names no file as it stands; write sqlite:///path/to/file.db, without ~, ? or a / at its end"
            )
        return text
    if scheme in {"postgresql", "postgres"} and "://" in text:
        return text
    raise ValueError("is not a store; write sqlite:///path/to/file.db or postgresql://user@host/database")


def is_sqlite(url: str) -> bool:
    """Whether the store is an SQLite file; else it is a PostgreSQL database."""
    return url.startswith(SQLITE)
