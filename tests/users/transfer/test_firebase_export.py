from __future__ import annotations

import io
import json
from typing import Any

import pytest

from server.core.errors import FileRefused
from server.passwords import foreign
from server.users.transfer.firebase_export import read_firebase, read_hash_config
from server.users.transfer.lines import Record
from tests import foreign_hashes

PARAMETERS = read_hash_config(foreign_hashes.FIREBASE_HASH_CONFIG)
# A user as the command writes it, with members that do not matter here.
USER: dict[str, Any] = {
    "localId": "aBcDeFgHiJkLmNoPqRsTuVwXyZ12",
    "email": "lak@example.com",
    "emailVerified": True,
    "passwordHash": foreign_hashes.FIREBASE_HASH,
    "salt": foreign_hashes.FIREBASE_SALT,
    "displayName": 'Lak, {the} "first"]',
    "lastSignedInAt": "1714979289123",
    "createdAt": "1714979289000",
    "disabled": False,
    "providerUserInfo": [{"providerId": "password", "email": "lak@example.com"}],
}


def records_of(content: str | bytes) -> list[Record]:
    raw = content.encode() if isinstance(content, str) else content
    return list(read_firebase(io.BytesIO(raw), PARAMETERS))


def export_of(*users: Any, indent: int | None = None) -> str:
    return '{"users": [\n' + ",\n".join(json.dumps(user, indent=indent) for user in users) + "\n]}"


def record_of(**changes: Any) -> Record:
    (record,) = records_of(export_of(USER | changes))
    return record


@pytest.mark.parametrize("verified", [True, False, None])
def test_an_email_is_username_and_address(verified: bool | None) -> None:
    fields = record_of(emailVerified=verified).fields
    assert (fields["username"], fields["email"]) == ("lak@example.com", "lak@example.com")
    assert fields.get("email_verified") is verified


def test_an_email_that_is_no_address_here_is_the_username_alone() -> None:
    fields = record_of(email="lak@intranet.local").fields
    assert fields["username"] == "lak@intranet.local"
    assert not {"email", "email_verified"} & set(fields)


def test_a_user_of_an_export_is_a_record_with_a_hash_that_fits() -> None:
    record = record_of()
    made = record.fields.pop("password_hash")
    assert record == Record(
        2,
        {
            "username": "lak@example.com",
            "name": 'Lak, {the} "first"]',
            "email": "lak@example.com",
            "email_verified": True,
            "disabled": False,
            "created_at": "2024-05-06T07:08:09.000Z",
            "last_login_at": "2024-05-06T07:08:09.123Z",
        },
        user=1,
    )
    assert foreign.cost_problem(made) is None
    assert foreign.matches(foreign_hashes.FIREBASE_PASSWORD.encode(), made)


def test_a_user_without_a_password_or_a_name_is_one_all_the_same() -> None:
    record = records_of(export_of({"localId": "x", "email": "x@example.com", "disabled": True}))[0]
    names = dict.fromkeys(("username", "name", "email"), "x@example.com")
    assert record.fields == names | {"email_verified": False, "disabled": True}


@pytest.mark.parametrize("indent", [None, 2])
def test_an_export_of_any_length_is_read_and_lines_are_counted(indent: int | None) -> None:
    users = [USER | {"email": f"user{number}@example.com", "bio": "ü" * 300} for number in range(500)]
    content = export_of(*users, indent=indent)
    found = records_of(content)
    assert [record.fields["username"] for record in found] == [user["email"] for user in users]
    assert [record.user for record in found] == list(range(1, 501))
    lines = content.splitlines()
    assert all(lines[record.line - 1].startswith("{") for record in found)


@pytest.mark.parametrize("content", ['{"users": []}', '\ufeff\n {\n"users" : [ ]\n}\n\n'])
def test_an_export_may_be_empty(content: str) -> None:
    assert records_of(content) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"email": None}, "no email"),
        ({"createdAt": "soon"}, "createdAt is no time in milliseconds"),
        ({"createdAt": -1}, "createdAt is no time in milliseconds"),
        ({"lastSignedInAt": "999999999999999"}, "lastSignedInAt is no time in milliseconds"),
        ({"passwordHash": "!"}, "not base64"),
        ({"passwordHash": 5}, "no salt, or is no text"),
        ({"salt": None}, "no salt, or is no text"),
    ],
)
def test_what_is_wrong_with_a_user_costs_no_other(changes: dict[str, Any], problem: str) -> None:
    before, damaged, after = records_of(export_of(USER, USER | changes, USER))
    assert (before.problem, after.problem) == (None, None)
    assert damaged.problem is not None
    assert problem in damaged.problem
    assert damaged.fields["username"] in {"lak@example.com", USER["localId"]}


def test_a_user_that_is_no_object_costs_no_other() -> None:
    assert [record.problem for record in records_of(export_of(USER, 5, USER))] == [
        None,
        "the user is no JSON object",
        None,
    ]


@pytest.mark.parametrize(
    ("cut", "line"),
    [
        (export_of(USER, USER)[:-20], 3),
        (export_of(USER)[:-2], 3),
        (export_of(USER) + "more", 3),
        (export_of(USER).replace("\n]}", "\nnonsense]}"), 3),
        (export_of(USER, "x" * 3_000_000), 3),
        (export_of(USER)[:-2] + "[" * 100_000, 3),
        (export_of(USER)[:-2] + "9" * 5000, 3),
    ],
)
def test_a_file_that_is_cut_or_damaged_says_where(cut: str, line: int) -> None:
    *read, last = records_of(cut)
    assert len(read) == 1
    assert (last.line, last.fields) == (line, {})
    assert last.problem is not None


@pytest.mark.parametrize("content", ["", "[]", '{"accounts": []}', "nonsense", '{"users": 5}', "username,role\n"])
def test_another_file_is_refused(content: str) -> None:
    with pytest.raises(FileRefused, match="no export of Firebase"):
        records_of(content)


def test_a_file_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(FileRefused, match="not UTF-8"):
        records_of(export_of(USER).encode() + b"\xff")


@pytest.mark.parametrize(
    "text",
    [
        foreign_hashes.FIREBASE_HASH_CONFIG,
        json.dumps(
            {
                "base64_signer_key": foreign_hashes.FIREBASE_SIGNER_KEY,
                "base64_salt_separator": "Bw==",
                "rounds": 8,
                "mem_cost": 14,
            }
        ),
    ],
)
def test_hash_parameters_are_read_as_the_console_shows_them_or_as_json(text: str) -> None:
    assert (PARAMETERS.rounds, PARAMETERS.mem_cost, PARAMETERS.salt_separator) == (8, 14, b"\x07")
    assert read_hash_config(text) == PARAMETERS


@pytest.mark.parametrize(
    "text",
    [
        "",
        foreign_hashes.FIREBASE_HASH_CONFIG.replace("SCRYPT", "BCRYPT"),
        foreign_hashes.FIREBASE_HASH_CONFIG.replace("rounds", "round"),
        foreign_hashes.FIREBASE_HASH_CONFIG.replace("14", "x"),
        foreign_hashes.FIREBASE_HASH_CONFIG.replace("Bw==", "B"),
    ],
)
def test_hash_parameters_that_are_none_are_refused_without_a_secret_in_the_words(text: str) -> None:
    with pytest.raises(ValueError, match="the hash parameters") as refused:
        read_hash_config(text)
    assert foreign_hashes.FIREBASE_SIGNER_KEY not in str(refused.value)
