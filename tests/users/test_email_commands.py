"""`users set-email`, and addresses in what the other commands take and print."""

from __future__ import annotations

import json
from pathlib import Path

from tests.in_process import run, serving
from tests.running import PASSWORD
from tests.users.test_commands import make
from tests.users.test_show import lines, shown


def test_an_address_is_given_and_taken_away(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        made = run(
            tmp_path, "users", "create", "--username", "lak", "--role", "customer", "--email", "Lak@Example.com",
            "--password-stdin", "--json", stdin=PASSWORD + "\n",
        )  # fmt: skip
        user = json.loads(made.stdout)["user"]
        assert (user["email"], user["email_verified"]) == ("Lak@example.com", True)
        assert server.log_in("lak@example.com", PASSWORD)["token"]
        # Commands find the user by it.
        given = run(tmp_path, "users", "set-email", "lak@example.com", "new@bücher.example")
        assert (given.returncode, given.stdout) == (0, "lak has new@bücher.example now\n")
        assert server.call("POST", "/login", {"username": "lak@example.com", "password": PASSWORD})[0] == 400
        assert server.log_in("NEW@xn--bcher-kva.example", PASSWORD)["token"]
        assert run(tmp_path, "users", "disable", "new@bücher.example").returncode == 0
        (email,) = shown(tmp_path, "lak")["emails"]
        assert (email["email"], email["verified"], email["primary"]) == ("new@bücher.example", True, True)
        assert lines(tmp_path, "lak")["email 1"] == "new@bücher.example (primary)"
        assert "new@bücher.example" in run(tmp_path, "users", "list").stdout
        taken = run(tmp_path, "users", "set-email", "lak", "--none")
        assert (taken.returncode, taken.stdout) == (0, "lak has no primary address now\n")
        assert shown(tmp_path, "lak")["emails"] == []


def test_what_can_not_be_an_address_or_is_taken_is_refused_with_a_line(tmp_path: Path) -> None:
    make(tmp_path, "lak@example.com")
    make(tmp_path, "john")
    taken = run(tmp_path, "users", "set-email", "john", "LAK@example.com")
    assert (taken.returncode, taken.stderr) == (1, "email_taken: This e-mail address belongs to another user.\n")
    for wrong in ("john", "a@b\u202e.example", "", '"a b"@example.com'):
        refused = run(tmp_path, "users", "set-email", "john", wrong)
        assert refused.returncode == 2, wrong
        assert "an address like lak@example.com" in " ".join(refused.stderr.split())
    for wrong_use in ((), ("john@example.com", "--none")):
        assert run(tmp_path, "users", "set-email", "john", *wrong_use).returncode == 2
    assert run(tmp_path, "users", "set-email", "nobody@example.com", "a@example.com").returncode == 1
    created = run(
        tmp_path, "users", "create", "--username", "may", "--role", "customer", "--email", "may", "--password-stdin",
        stdin=PASSWORD + "\n",
    )  # fmt: skip
    assert created.returncode == 2
    assert [user["username"] for user in json.loads(run(tmp_path, "users", "list", "--json").stdout)["users"]] == [
        "lak@example.com",
        "john",
    ]
