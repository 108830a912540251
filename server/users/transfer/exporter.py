"""Moving accounts out: rows as `users import` takes them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator

from server.core.clock import rfc3339
from server.users.model import Credentials
from server.users.repository import UserRepository
from server.users.transfer.row import COLUMNS

PAGE = 500


async def export_pages(users: UserRepository, *, as_csv: bool) -> AsyncIterator[tuple[int, str]]:
    """The accounts in the order of their ids, a page at a time: how many, and their lines."""
    if as_csv:
        yield 0, _csv([list(COLUMNS)])
    after_id = ""
    while page := await users.list_credentials(PAGE, after_id):
        after_id = page[-1].user.id
        rows = [_fields(credentials) for credentials in page]
        if as_csv:
            text = _csv([[_csv_value(row[column]) for column in COLUMNS] for row in rows])
        else:
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        yield len(page), text


def _fields(credentials: Credentials) -> dict[str, str | bool | None]:
    user = credentials.user
    return {
        "id": user.id,
        "username": user.username,
        "name": user.name,
        "role": user.role,
        "password_hash": credentials.password_hash,
        "disabled": user.disabled,
        "created_at": rfc3339(user.created_at),
        "updated_at": rfc3339(user.updated_at),
        "last_login_at": None if user.last_login_at is None else rfc3339(user.last_login_at),
        "disabled_at": None if user.disabled_at is None else rfc3339(user.disabled_at),
    }


def _csv(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _csv_value(value: str | bool | None) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value or ""
