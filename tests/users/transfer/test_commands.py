"""`users import` and `users export`, beside a server or alone."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tests import foreign_hashes
from tests.in_process import run, serving
from tests.running import MASTER_KEY
from tests.users.transfer.rows import write_rows

NAMES = {name.replace(" ", "-"): made for name, made in foreign_hashes.CHEAP.items()}


def firebase_export(folder: Path) -> tuple[str, ...]:
    """The arguments that import the published example."""
    user = {
        "localId": "aBcD",
        "email": "user1@example.com",
        "passwordHash": foreign_hashes.FIREBASE_HASH,
        "salt": foreign_hashes.FIREBASE_SALT,
        "createdAt": "1714979289000",
    }
    (folder / "firebase.json").write_text(json.dumps({"users": [user]}, indent=2))
    (folder / "hash-config.txt").write_text(foreign_hashes.FIREBASE_HASH_CONFIG)
    return ("firebase.json", "--format", "firebase", "--role", "customer", "--hash-config", "hash-config.txt")


def test_accounts_with_hashes_of_other_systems_are_moved_into_a_running_server_and_log_in(tmp_path: Path) -> None:
    write_rows(tmp_path / "users.jsonl", [{"username": name, "password_hash": made} for name, made in NAMES.items()])
    with serving(tmp_path) as server:
        imported = run(tmp_path, "users", "import", "users.jsonl")
        assert (imported.returncode, imported.stderr) == (0, "")
        assert imported.stdout == f"imported {len(NAMES)}, already there 0, refused 0\n"
        assert run(tmp_path, "users", "import", *firebase_export(tmp_path)).returncode == 0
        passwords = dict.fromkeys(NAMES, foreign_hashes.PASSWORD)
        passwords["user1@example.com"] = foreign_hashes.FIREBASE_PASSWORD
        for username, password in passwords.items():
            for wrong in ("", "wrong", password + "x"):
                status, body = server.call("POST", "/login", {"username": username, "password": wrong})
                assert (status, body["code"]) == (400, "invalid_credentials")
            assert server.log_in(username, password)["token"]
        # Every hash was made anew, and fits still.
        exported = run(tmp_path, "users", "export").stdout
        assert {json.loads(line)["password_hash"][:19] for line in exported.splitlines()} == {"$bcrypt-sha256$v=2,"}
        assert server.log_in("argon2i", foreign_hashes.PASSWORD)["token"]


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_an_export_is_for_its_owner_alone_and_comes_back_with_working_passwords(
    tmp_path: Path, store_url: str, ending: str
) -> None:
    old = {"WATCHWORD__STORE__URL": store_url, "WATCHWORD__KEYS__MASTER_KEY": MASTER_KEY}
    write_rows(
        tmp_path / "users.jsonl",
        [
            {"username": "lak", "password_hash": NAMES["argon2id"], "name": 'Ünal, "Lak"', "role": "admin"},
            {"username": "off", "password_hash": NAMES["argon2id"], "disabled": True},
            {"username": "without"},
        ],
    )
    assert run(tmp_path, "users", "import", "users.jsonl", **old).returncode == 0
    exported = run(tmp_path, "users", "export", f"out.{ending}", **old)
    assert (exported.returncode, exported.stdout) == (0, f"exported 3 to out.{ending}\n")
    assert stat.S_IMODE((tmp_path / f"out.{ending}").stat().st_mode) == 0o600
    again = run(tmp_path, "users", "export", f"out.{ending}", **old)
    assert (again.returncode, again.stderr) == (
        1,
        f"file: out.{ending} is there already; choose another name\n",
    )
    listed = run(tmp_path, "users", "list", "--json", **old).stdout
    assert run(tmp_path, "users", "import", f"out.{ending}").returncode == 0
    assert run(tmp_path, "users", "list", "--json").stdout == listed
    assert run(tmp_path, "users", "export", "--format", ending).stdout == (tmp_path / f"out.{ending}").read_text(
        "utf-8"
    )
    with serving(tmp_path) as server:
        token = server.log_in("lak", foreign_hashes.PASSWORD)["token"]
        assert server.call("GET", "/users", token=token)[0] == 200
        for username in ("off", "without"):
            body = {"username": username, "password": foreign_hashes.PASSWORD}
            assert server.call("POST", "/login", body)[0] == 400


def test_a_refused_row_is_one_line_whatever_it_holds_and_the_rest_is_imported(tmp_path: Path) -> None:
    rows = [
        b'{"username": "lak", "role": "customer"}',
        b'{"username": "a\\u001b[31m\\nline 1: b", "role": "customer"}',
        b'{"username": "king", "role": "king"}',
        b"\xff\xfe nonsense \x00\x07",
        b'{"username": "bidi\\u202e", "role": "customer"}',
        b'{"username": "dear", "role": "customer", "password_hash": "$2b$31$' + b"." * 53 + b'"}',
        b"[" * 50_000,
        b'{"username": "' + b"x" * 2_000_000 + b'"}',
        b'{"username": "\\ud800", "role": "customer"}',
        b'{"username": "LAK", "role": "customer"}',
        b'{"username": "john", "role": "customer"}',
    ]
    (tmp_path / "users.jsonl").write_bytes(b"\r\n".join(rows))
    run(tmp_path, "migrate")
    dry = run(tmp_path, "users", "import", "users.jsonl", "--dry-run")
    assert (dry.returncode, dry.stdout) == (1, "would import 2, already there 0, refused 9\n")
    assert json.loads(run(tmp_path, "users", "list", "--json").stdout)["users"] == []
    done = run(tmp_path, "users", "import", "users.jsonl")
    assert (done.returncode, done.stdout) == (1, "imported 2, already there 0, refused 9\n")
    assert done.stderr == dry.stderr
    lines = done.stderr.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"line {number}" for number in range(2, 11)]
    assert all(line.isprintable() for line in lines)
    assert lines[0].startswith("line 2: a\\u001b[31m\\nline 1: b: the username")
    assert lines[1] == "line 3: king: there is no role 'king'; roles: customer, admin"
    assert lines[4].startswith("line 6: dear: the password hash is too costly: bcrypt cost 31 is above 16; without")
    assert lines[6] == "line 8: the line is longer than 1 MiB"
    assert lines[8] == "line 10: LAK: line 1 has this username, address or id already"
    as_json = run(tmp_path, "users", "import", "users.jsonl", "--json")
    assert json.loads(as_json.stdout) == {"dry_run": False, "imported": 0, "already_there": 2, "refused": 9}
    told = [json.loads(line) for line in as_json.stderr.splitlines()]
    assert [one["line"] for one in told] == list(range(2, 11))
    assert told[1] == {"line": 3, "username": "king", "reason": "there is no role 'king'; roles: customer, admin"}


def test_no_value_of_csv_smuggles_an_account_in(tmp_path: Path) -> None:
    evil = f"evil,Evil,admin,{NAMES['argon2id']}"
    (tmp_path / "users.csv").write_text(
        f'username,name,role,password_hash\nlak,"x\n{evil}\n",customer,\njohn,"John, B.",customer,\n'
        f'may,"May\n{evil}\nlee,,customer,\n'
    )
    done = run(tmp_path, "users", "import", "users.csv")
    assert (done.returncode, done.stdout) == (1, "imported 1, already there 0, refused 2\n")
    assert done.stderr.splitlines() == [
        "line 2: a value has a line break, up to line 4; that is not taken",
        "line 6: a quote is never closed; nothing from this line on was read",
    ]
    listed = json.loads(run(tmp_path, "users", "list", "--json").stdout)["users"]
    assert [user["username"] for user in listed] == ["john"]


@pytest.mark.parametrize(
    ("name", "content", "arguments", "told"),
    [
        ("x.csv", b"username,colour\nx,y\n", (), (1, "unknown column 'colour'")),
        ("x.csv", b"", (), (1, "no header")),
        ("x.csv", "username\nlak\n".encode("utf-16"), (), (1, "UTF-16")),
        ("x.json", b"[]", (), (2, "--format")),
        ("x.json", b"[]", ("--format", "firebase"), (2, "firebase needs --hash-config and --role as well")),
        ("x.json", b"[]", ("--format", "xml"), (2, "--format")),
        ("x.jsonl", b"", ("--role", " admin"), (2, "there is no role ' admin'")),
        ("x.jsonl", b"", ("--hash-config", "nothing.txt"), (2, "for --format firebase alone")),
    ],
)
def test_a_file_or_an_option_that_cannot_be_used_is_told_clearly(
    tmp_path: Path, name: str, content: bytes, arguments: tuple[str, ...], told: tuple[int, str]
) -> None:
    (tmp_path / name).write_bytes(content)
    refused = run(tmp_path, "users", "import", name, *arguments)
    assert refused.returncode == told[0], refused.stderr
    assert told[1] in " ".join(refused.stderr.split())
    assert "Traceback" not in refused.stderr


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    for arguments in (["nothing.jsonl"], [".", "--format", "csv"], ["nothing.json", "--format", "firebase"]):
        refused = run(tmp_path, "users", "import", *arguments)
        assert refused.returncode == 2, arguments
        assert "Traceback" not in refused.stderr
    (tmp_path / "firebase.json").write_text('{"users": []}')
    firebase = ("firebase.json", "--format", "firebase", "--role", "customer", "--hash-config")
    refused = run(tmp_path, "users", "import", *firebase, "nothing.txt")
    assert refused.returncode == 2
    assert "nothing.txt can't be read (No such file or directory)" in " ".join(refused.stderr.replace("│", "").split())
    (tmp_path / "binary.txt").write_bytes(b"\xff")
    refused = run(tmp_path, "users", "import", *firebase, "binary.txt")
    assert (refused.returncode, refused.stderr) == (1, "file: binary.txt is not UTF-8\n")
    (tmp_path / "empty.txt").write_text("")
    refused = run(tmp_path, "users", "import", *firebase, "empty.txt")
    assert (refused.returncode, refused.stderr[:41]) == (1, "file: empty.txt: the hash parameters have")


def test_accounts_may_come_by_a_pipe(tmp_path: Path) -> None:
    done = run(tmp_path, "users", "import", "-", "--format", "csv", "--role", "customer", stdin="username\nlak\njohn\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "imported 2, already there 0, refused 0\n", "")
    exported = run(tmp_path, "users", "export")
    assert (exported.stdout.count("\n"), exported.stderr) == (2, "exported 2\n")
    there = run(tmp_path, "users", "import", "-", "--format", "jsonl", stdin=exported.stdout)
    assert (there.returncode, there.stdout) == (0, "imported 0, already there 2, refused 0\n")
