"""`audit …` beside a running server."""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path

import pytest

from tests.audit.tampering import run_sql
from tests.in_process import run, serving

ME = pwd.getpwuid(os.getuid()).pw_name


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder}/data/watchword.db"


def test_commands_are_recorded_and_listed_with_who_ran_them(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        made = run(tmp_path, "users", "create", "--username", "lak", "--role", "customer", "--name", "[red]\u202eL")
        assert made.returncode == 0, made.stderr
        assert run(tmp_path, "users", "disable", "lak").returncode == 0
        assert run(tmp_path, "keys", "rotate", "--now").returncode == 0
        listed = run(tmp_path, "audit", "list", "--json")
        events = json.loads(listed.stdout)["events"]
        assert [event["event"] for event in events] == [
            "keys_rotated", "user_changed", "user_created", "user_created", "keys_rotated",
        ]  # fmt: skip
        assert [(event["via"], event["actor_name"]) for event in events[:3]] == [("command line", ME)] * 3
        assert {(event["via"], event["actor_name"]) for event in events[3:]} == {("server", None)}
        assert listed.stdout.isascii()
        table = run(tmp_path, "audit", "list", "--target", "LAK", "--actor", ME, "--limit", "1").stdout.splitlines()
        assert len(table) == 2
        assert table[1].split()[:5] == ["4", events[1]["at"], "user_changed", ME, "lak"]
        assert "disabled=true" in table[1]
        in_capitals = ("--target", events[1]["target_id"].upper())
        assert json.loads(run(tmp_path, "audit", "list", "--json", *in_capitals).stdout)["events"] == events[1:3]
        by_event = run(tmp_path, "audit", "list", "--event", "user_created").stdout
        assert '"[red]\\u202eL"' in by_event
        assert run(tmp_path, "audit", "list", "--event", "nothing").returncode == 2
        # A server sees them too.
        token = server.log_in("admin", server.admin_password())["token"]
        status, body = server.call("GET", "/audit?limit=1&event=user_changed", token=token)
        assert (status, body["events"]) == (200, [events[1]])


def test_the_log_is_exported_line_by_line_into_a_file_of_ones_own(tmp_path: Path) -> None:
    made = run(tmp_path, "users", "create", "--username", "lak", "--role", "customer", "--name", "\u202eé\u00a0L")
    assert made.returncode == 0, made.stderr
    written = run(tmp_path, "audit", "export", "out.jsonl")
    assert written.stdout == "1 records written to out.jsonl\n"
    assert (tmp_path / "out.jsonl").stat().st_mode & 0o777 == 0o600
    text = (tmp_path / "out.jsonl").read_text("ascii")
    assert run(tmp_path, "audit", "export").stdout == text
    (line,) = text.splitlines()
    assert json.loads(line)["after"]["name"] == "\u202eé\u00a0L"
    again = run(tmp_path, "audit", "export", "out.jsonl")
    assert (again.returncode, again.stderr) == (1, "file: out.jsonl is there already; choose another name\n")
    assert (tmp_path / "out.jsonl").read_text("ascii") == text


@pytest.mark.parametrize("empty", [True, False])
def test_a_whole_log_is_verified_and_its_head_printed(tmp_path: Path, *, empty: bool) -> None:
    made = ("migrate",) if empty else ("users", "create", "--username", "lak", "--role", "customer")
    assert run(tmp_path, *made).returncode == 0
    verified = run(tmp_path, "audit", "verify")
    assert (verified.returncode, verified.stderr) == (0, "")
    count, head = verified.stdout.splitlines()
    assert count == f"{0 if empty else 1} records, none altered, missing or inserted"
    if empty:
        assert head == "head none yet"
    else:
        kept = head.removeprefix("head ")
        for spelling in (kept, kept.upper(), f" {kept}\n"):
            assert run(tmp_path, "audit", "verify", "--head", spelling).returncode == 0
        assert run(tmp_path, "audit", "verify", "--head", "0" * 64).returncode == 1


@pytest.mark.parametrize("head", ["", " ", "é", "\udce9", "0" * 63, "0" * 65, "g" * 64, "none yet", "\u0660" * 64])
def test_what_is_no_head_is_not_taken_for_tampering_and_does_not_pass(tmp_path: Path, head: str) -> None:
    refused = run(tmp_path, "audit", "verify", "--head", head)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "64 hexadecimal digits" in refused.stderr
    assert "Traceback" not in refused.stderr


async def test_a_log_that_was_tampered_with_is_told_with_its_first_bad_record(tmp_path: Path) -> None:
    for username in ("lak", "john", "david"):
        run(tmp_path, "users", "create", "--username", username, "--role", "customer")
    await run_sql(url_of(tmp_path), "UPDATE audit_events SET after_change = '[x' WHERE seq = 2")
    refused = run(tmp_path, "audit", "verify")
    assert refused.returncode == 1
    assert refused.stderr.startswith("the audit log is not whole: record 2 is altered")
    as_json = run(tmp_path, "audit", "verify", "--json")
    assert (as_json.returncode, json.loads(as_json.stdout)["count"]) == (1, 1)
    assert json.loads(as_json.stdout)["fault"]["seq"] == 2
    # It can still be read.
    for arguments in (["list"], ["list", "--json"], ["export"]):
        shown = run(tmp_path, "audit", *arguments)
        assert (shown.returncode, "unreadable" in shown.stdout) == (0, True), shown.stderr


def test_a_log_is_whole_after_a_change_of_the_master_key(tmp_path: Path) -> None:
    run(tmp_path, "users", "create", "--username", "lak", "--role", "customer")
    assert run(tmp_path, "keys", "rewrap").returncode == 0
    verified = run(tmp_path, "audit", "verify")
    assert (verified.returncode, verified.stdout.splitlines()[0][:2]) == (0, "2 ")
