"""Whether a store is whole: each change with its audit record and all that belongs to it, nothing half, nothing twice.

It is read by other code than the server's own, in one transaction, on either database.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg

from tests.process.acknowledged import Fact

Row = dict[str, Any]
_TABLES = {
    "users": "id, username, name, role, disabled_at, password_changed_at, role_changed_at",
    "sessions": "id, user_id, step, ended_at, idle_expires_at",
    "revocations": "session_id, user_id, role, role_changed_at",
    "invitations": "id, email, uses, used",
    "mails": "id, kind, recipient, state",
    "server_keys": "kid, algorithm",
    "audit_events": "seq, at, event, target_id, target_name, request_id, before_change, after_change",
}
# They say which session has ended.
_ENDING = ("logged_out", "refresh_reused")


class Snapshot:
    """All rows of the tables at one moment."""

    def __init__(self, tables: dict[str, list[Row]]) -> None:
        self.tables = tables
        self.events = tables["audit_events"]
        for row in self.events:
            for name in ("before_change", "after_change"):
                row[name] = json.loads(row[name]) if row[name] else {}
        self.events.sort(key=lambda row: row["seq"])

    def of(self, *events: str) -> list[Row]:
        return [row for row in self.events if row["event"] in events]


def snapshot_of_file(path: Path) -> Snapshot:
    """Of an SQLite store, which is also checked as SQLite does it."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.row_factory = sqlite3.Row
        return Snapshot(
            {
                table: [dict(row) for row in connection.execute(f"SELECT {columns} FROM {table}")]  # noqa: S608
                for table, columns in _TABLES.items()
            }
        )


async def snapshot_of_postgres(url: str) -> Snapshot:
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return Snapshot(
                {
                    table: [dict(row) for row in await connection.fetch(f"SELECT {columns} FROM watchword.{table}")]  # noqa: S608
                    for table, columns in _TABLES.items()
                }
            )
    finally:
        await connection.close()


def require_whole(found: Snapshot) -> None:
    """What holds at every moment between two transactions, while nothing was purged yet."""
    assert [row["seq"] for row in found.events] == list(range(1, len(found.events) + 1))
    _require_whole_users(found)
    _require_whole_sessions(found)
    _require_whole_registrations(found)
    _require_whole_keys(found)


def _require_whole_users(found: Snapshot) -> None:
    created, deleted = found.of("user_created"), {row["target_id"] for row in found.of("user_deleted")}
    assert max(Counter(row["target_name"] for row in created).values()) == 1
    users = {row["id"]: row for row in found.tables["users"]}
    assert users.keys() == {row["target_id"] for row in created} - deleted
    told: dict[str, Row] = {}
    roles = {(row["user_id"], row["role"]) for row in found.tables["revocations"] if row["user_id"]}
    for row in found.of("user_created", "user_changed", "user_renamed", "password_changed", "password_reset"):
        of_user = told.setdefault(row["target_id"], {"disabled": False, "username": row["target_name"]})
        of_user |= {
            name: row["after_change"][name] for name in ("name", "role", "disabled") if name in row["after_change"]
        }
        if row["event"] == "user_renamed":
            of_user["username"] = row["after_change"]["username"]
        elif row["event"] != "user_changed":
            of_user["password_changed_at"] = row["at"]
        elif "role" in row["after_change"]:
            assert (row["target_id"], row["after_change"]["role"]) in roles
    for user_id, user in users.items():
        shown = {name: user[name] for name in ("username", "name", "role", "password_changed_at")}
        assert shown | {"disabled": user["disabled_at"] is not None} == told[user_id]


def _require_whole_sessions(found: Snapshot) -> None:
    users = {row["id"] for row in found.tables["users"]}
    sessions = {row["id"]: row for row in found.tables["sessions"]}
    opened = {row["after_change"]["session_id"]: row["target_id"] for row in found.of("login_succeeded")}
    assert {session: row["user_id"] for session, row in sessions.items()} == {
        session: user_id for session, user_id in opened.items() if user_id in users
    }
    revoked = Counter(row["session_id"] for row in found.tables["revocations"] if row["session_id"])
    assert not revoked or max(revoked.values()) == 1
    ended = {session for session, row in sessions.items() if row["ended_at"] is not None}
    assert ended == {session for session in revoked if session in sessions}
    # Who is gone has no session that goes on.
    assert all(session in revoked for session, user_id in opened.items() if user_id not in users)
    told = {row["after_change"]["session_id"] for row in found.of(*_ENDING)}
    told |= {
        row["after_change"]["session_id"] for row in found.of("sessions_ended") if "session_id" in row["after_change"]
    }
    assert told <= revoked.keys()
    others = Counter[str]()
    for row in found.of("sessions_ended", "password_changed", "password_reset"):
        others[row["target_id"]] += row["after_change"].get("sessions_ended", 0)
    disabled = {row["target_id"] for row in found.of("user_changed") if row["after_change"].get("disabled")}
    by_others = Counter(opened[session] for session in revoked if session not in told)
    for user_id, count in by_others.items():
        assert count == others[user_id] or user_id in disabled or user_id not in users


def _require_whole_registrations(found: Snapshot) -> None:
    used = Counter(row["target_id"] for row in found.of("invitation_used"))
    invitations = found.tables["invitations"]
    assert {row["id"]: row["used"] for row in invitations if row["used"]} == used
    assert all(row["used"] <= row["uses"] for row in invitations)
    assert {row["id"] for row in invitations} == {row["target_id"] for row in found.of("invitation_created")}
    created = {(row["request_id"], row["target_id"]) for row in found.of("user_created")}
    assert all((row["request_id"], row["after_change"]["user_id"]) in created for row in found.of("invitation_used"))
    # Each invitation of somebody has its mail.
    mailed = Counter(row["recipient"] for row in found.tables["mails"] if row["kind"] == "invitation")
    assert mailed == Counter(row["email"] for row in invitations if row["email"])


def _require_whole_keys(found: Snapshot) -> None:
    told: Row = {}
    for row in found.of("keys_rotated"):
        for kid in row["before_change"]:
            told.pop(kid, None)
        told |= row["after_change"]
    assert {row["kid"] for row in found.tables["server_keys"] if row["algorithm"] != "HKDF"} == told.keys()


def require_facts(found: Snapshot, facts: Iterable[Fact]) -> None:
    """All that was acknowledged is there."""
    counts = Counter[tuple[str, str]]()
    for row in found.events:
        counts.update(
            {(row["event"], subject) for subject in (row["target_id"], row["target_name"], "") if subject is not None}
        )
    steps = {row["id"]: row["step"] for row in found.tables["sessions"]}
    users_of = {row["after_change"]["session_id"]: row["target_id"] for row in found.of("login_succeeded")}
    users = {row["id"] for row in found.tables["users"]}
    mails = {row["recipient"] for row in found.tables["mails"]}
    for fact in facts:
        if fact.what == "step":
            gone = users_of.get(fact.subject) not in users and fact.subject in users_of
            assert gone or steps.get(fact.subject, -1) >= fact.value, fact
        elif fact.what == "mail":
            assert fact.subject in mails, fact
        else:
            assert counts[fact.what, fact.subject] >= fact.value, fact
