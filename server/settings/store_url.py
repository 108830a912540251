"""Checks `store.url`, and what else says where the store is."""

from __future__ import annotations

import re
from urllib.parse import unquote

# What stands before the path of the file.
SQLITE = "sqlite:///"

# In other programs these mean the home folder, options, a folder or memory. Here they would be names of files.
_NO_FILE = re.compile(r"~.*|.*\?.*|(?:.*/)?\.{0,2}|:memory:", re.DOTALL)
_SEARCH_PATH = re.compile(r"search[_-]path", re.IGNORECASE)
# Such a name means the same with quotation marks and without, so it is easy to type in SQL.
_SCHEMA = re.compile(r"[a-z][a-z0-9_]{0,62}")


def store_url(text: str) -> str:
    """The URL of an SQLite file or a PostgreSQL database. Raises ValueError, whose message says what to write."""
    if is_sqlite(text):
        if _NO_FILE.fullmatch(text, len(SQLITE)):
            raise ValueError(
                "names no file as it stands; write sqlite:///path/to/file.db, without ~, ? or a / at its end"
            )
        return text
    if _is_postgres(text):
        if _SEARCH_PATH.search(unquote(text.partition("?")[2])):
            raise ValueError("sets search_path; take it out, and name the schema in store.schema_name")
        return text
    raise ValueError("is not a store; write sqlite:///path/to/file.db or postgresql://user@host/database")


def direct_url(text: str) -> str:
    """Empty, or the URL of a PostgreSQL database. Raises ValueError, whose message says what to write."""
    if not text:
        return text
    if not _is_postgres(text):
        raise ValueError("is not PostgreSQL; write postgresql://user@host/database, or leave it empty")
    return store_url(text)


def listen_url_problems(listening: str, url: str) -> list[str]:
    """What is wrong with `store.listen_url` beside this `store.url`."""
    if is_sqlite(url):
        return ["store.listen_url: is for PostgreSQL, and store.url is an SQLite file; leave it empty"]
    if listening == url:
        return ["store.listen_url: is the same as store.url; name PostgreSQL itself, not the pooler, or leave it empty"]
    return []


def schema(text: str) -> str:
    """The name of a schema in PostgreSQL. Raises ValueError, whose message says what to write."""
    if not _SCHEMA.fullmatch(text):
        raise ValueError("is no name that it takes; write lower-case letters, digits and _, 63 at most, a letter first")
    if text.startswith("pg_") or text == "information_schema":
        raise ValueError("belongs to PostgreSQL itself; write another name")
    return text


def _is_postgres(url: str) -> bool:
    return url.startswith(("postgresql://", "postgres://"))


def is_sqlite(url: str) -> bool:
    """Whether the store is an SQLite file; else it is a PostgreSQL database."""
    return url.startswith(SQLITE)
