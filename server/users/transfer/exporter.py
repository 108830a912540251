"""Exports accounts in the form that `users import` reads."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any

from server.core.clock import rfc3339
from server.users.model import Credentials
from server.users.repository import UserRepository
from server.users.transfer.row import COLUMNS

PAGE = 500


async def export_pages(users: UserRepository, *, as_csv: bool) -> AsyncIterator[tuple[int, str]]:
    """For each page of accounts, in the order of their ids: how many they are, and their lines."""
    if as_csv:
        yield 0, _csv([list(COLUMNS)])
    after_id = ""
    while page := await users.list_credentials(PAGE, after_id, confirmed_only=True):
        after_id = page[-1].user.id
        rows = [_fields(credentials) for credentials in page]
        if as_csv:
            text = _csv([[_csv_value(row[column]) for column in COLUMNS] for row in rows])
        else:
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        yield len(page), text


def _fields(credentials: Credentials) -> dict[str, str | bool | None]:
    return {column: _value(credentials, column) for column in COLUMNS}


def _value(credentials: Credentials, column: str) -> str | bool | None:
    if column == "password_hash":
        return credentials.password_hash
    if column == "email_verified":
        return credentials.user.email_verified_at is not None
    value: Any = getattr(credentials.user, column)
    return rfc3339(value) if column.endswith("_at") and value is not None else value


def _csv(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _csv_value(value: str | bool | None) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value or ""
