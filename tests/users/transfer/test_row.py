from __future__ import annotations

from typing import Any

import pytest

from server.core.clock import rfc3339
from server.core.ids import id_tail, made_at
from server.users.model import Credentials, User
from server.users.transfer.row import ImportedAccount, RowRefused, read_row
from tests.foreign_hashes import ARGON2
from watchword_client.access import DEFAULT_ROLES, Roles

ROLES = Roles(DEFAULT_ROLES)
NOW = 1_790_000_000_000
ID = "01990000-0000-7000-8000-000000000001"
DAY_MS = 86_400_000


def row_of(now: int = NOW, default_role: str | None = None, **fields: Any) -> ImportedAccount:
    given = {"username": "lak", "role": "customer"} | fields
    present = {name: value for name, value in given.items() if value is not None}
    return read_row(present, roles=ROLES, role=default_role, now=now)


def reason_for(**fields: Any) -> str:
    with pytest.raises(RowRefused) as refused:
        row_of(**fields)
    assert str(refused.value).isprintable()
    return str(refused.value)


def test_a_whole_record_is_taken_as_it_is() -> None:
    row = row_of(
        id=ID,
        name="Lak P.",
        role="admin",
        password_hash=ARGON2["argon2id"],
        disabled=True,
        created_at="2024-05-06T07:08:09.123Z",
        updated_at="2024-05-06 09:08:09.123456789+02:00",
        last_login_at="2024-05-06T07:08:09z",
        disabled_at="1970-01-01T00:00:00Z",
    )
    user = User(ID, "lak", "Lak P.", "admin", 0, 1714979289123, 1714979289123, 1714979289000)
    assert row == ImportedAccount(Credentials(user, ARGON2["argon2id"], NOW), derived=False, dated=True)


def test_most_of_a_record_may_be_absent() -> None:
    row = row_of()
    user = row.credentials.user
    assert (row.derived, row.dated) == (True, False)
    assert user == User(user.id, "lak", "lak", "customer", None, NOW, NOW, None)
    assert row.credentials.password_hash is None
    assert made_at(user.id) == NOW


@pytest.mark.parametrize(
    ("fields", "email", "verified"),
    [
        ({"email": "Lak@Example.com"}, "Lak@example.com", False),
        ({"email": "lak@xn--bcher-kva.example", "email_verified": True}, "lak@bücher.example", True),
        ({"email": "lak@example.com", "email_verified": "TRUE"}, "lak@example.com", True),
        ({"email": "lak@example.com", "email_verified": "false"}, "lak@example.com", False),
        ({"email_verified": False}, None, False),
    ],
)
def test_an_address_counts_as_verified_only_if_the_record_says_so(
    fields: dict[str, Any], email: str | None, verified: bool
) -> None:
    user = row_of(**fields).credentials.user
    assert (user.email, user.email_verified_at) == (email, NOW if verified else None)


def test_a_role_is_given_to_those_without_one() -> None:
    assert row_of(role=None, default_role="admin").credentials.user.role == "admin"
    assert row_of(role="customer", default_role="admin").credentials.user.role == "customer"


def test_the_same_record_has_the_same_end_of_its_id() -> None:
    first = row_of()
    again = row_of(now=NOW + 5000, last_login_at="2024-05-06T07:08:09Z", updated_at="2024-05-06T07:08:09Z")
    assert first.credentials.user.id != again.credentials.user.id
    assert id_tail(first.credentials.user.id) == id_tail(again.credentials.user.id)
    others: list[dict[str, Any]] = [
        {"name": "x"},
        {"role": "admin"},
        {"username": "lak2"},
        {"disabled": "true"},
        {"password_hash": ARGON2["argon2d"]},
        {"created_at": "2024-05-06T07:08:09Z"},
        {"email": "lak@example.com"},
        {"email": "lak@example.com", "email_verified": True},
    ]
    tails = {id_tail(row_of(**other).credentials.user.id) for other in others}
    assert len(tails | {id_tail(first.credentials.user.id)}) == len(others) + 1


def test_a_dated_record_has_the_same_id_whenever_it_is_read() -> None:
    dated: dict[str, Any] = {"created_at": "2024-05-06T07:08:09Z"}
    assert row_of(**dated).credentials.user.id == row_of(now=NOW + 5000, **dated).credentials.user.id
    assert made_at(row_of(**dated).credentials.user.id) == 1714979289000


@pytest.mark.parametrize(
    ("disabled", "disabled_at", "expected"),
    [
        (None, None, None),
        (False, None, None),
        ("false", None, None),
        ("FALSE", None, None),
        (True, None, NOW),
        ("true", None, NOW),
        (True, "1970-01-01T00:00:01Z", 1000),
        (None, "1970-01-01T00:00:01Z", 1000),
    ],
)
def test_disabled_is_said_by_word_or_by_time(disabled: object, disabled_at: str | None, expected: int | None) -> None:
    assert row_of(disabled=disabled, disabled_at=disabled_at).credentials.user.disabled_at == expected


@pytest.mark.parametrize("given", ["019A0000-0000-7000-8000-00000000000B", "019a0000-0000-7000-8000-00000000000B"])
def test_an_id_is_taken_in_any_case(given: str) -> None:
    """RFC 9562 section 4: in small letters on output, in any case on input."""
    assert row_of(id=given).credentials.user.id == given.lower()


def test_the_mark_of_django_for_no_password_is_none() -> None:
    assert row_of(password_hash="!aBcDeF").credentials.password_hash is None


@pytest.mark.parametrize("username", [None, "", "two words", "x" * 129, "a\0b", "a\nb", "\ud800", "na ïve"])
def test_a_username_that_no_account_could_have_is_refused(username: str | None) -> None:
    assert "username" in reason_for(username=username)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"username": 5}, "username is no text"),
        ({"username": ["x"]}, "username is no text"),
        ({"name": "a\nb"}, "the name has"),
        ({"name": "\u2028"}, "the name has"),
        ({"name": "\ud800"}, "the name has"),
        ({"name": "x" * 201}, "more than 200"),
        ({"name": {}}, "name is no text"),
        ({"role": "king"}, "there is no role 'king'; roles: customer, admin"),
        ({"role": " admin"}, "there is no role ' admin'"),
        ({"role": "\u0430dmin\n"}, "there is no role '\\u0430dmin\\n'"),
        ({"role": None}, "no role; --role gives one"),
        ({"role": True}, "role is no text"),
        ({"password": "hush"}, "only their hashes"),
        ({"password_hash": "hush"}, "no known kind"),
        ({"password_hash": ""}, "no known kind"),
        ({"password_hash": "hush"}, "without password_hash the account is taken, and users reset-password"),
        ({"password_hash": "$2b$31$" + "." * 53}, "bcrypt cost 31 is above 16"),
        ({"password_hash": 12}, "password_hash is no text"),
        ({"colour": "red"}, "no column 'colour'"),
        ({"col\nour\ud800": "red"}, "no column 'col\\nour\\ud800'"),
        ({"disabled": "yes"}, "neither true nor false"),
        ({"disabled": 1}, "neither true nor false"),
        ({"disabled": []}, "neither true nor false"),
        ({"disabled": False, "disabled_at": "2024-05-06T07:08:09Z"}, "there is a disabled_at"),
        ({"email": "lak"}, "the email is not one that is allowed here"),
        ({"email": "lak@example.com\n"}, "the email is not one that is allowed here"),
        ({"email": ["lak@example.com"]}, "email is no text"),
        ({"email": "lak@example.com", "email_verified": "yes"}, "email_verified is neither true nor false"),
        ({"email": "lak@example.com", "email_verified": 1}, "email_verified is neither true nor false"),
        ({"email_verified": True}, "there is no email"),
        ({"username": "lak@xn--bcher-kva.b\u00fccher.example"}, "Write this address as"),
        ({"id": "7"}, "no UUIDv7"),
        ({"id": f"{ID}\n"}, "no UUIDv7"),
        ({"id": "{" + ID + "}"}, "no UUIDv7"),
        ({"id": ID.replace("-", "")}, "no UUIDv7"),
        ({"id": "9b2f1c1e-4f0e-4d5c-9c1f-0123456789ab"}, "no UUIDv7"),
        ({"id": 7}, "id is no text"),
        ({"created_at": "yesterday"}, "created_at is no time like"),
        ({"created_at": "2024-05-06"}, "created_at is no time like"),
        ({"created_at": "2024-05-06T07:08:09"}, "created_at is no time like"),
        ({"created_at": "2024-02-30T07:08:09Z"}, "created_at is no time like"),
        ({"created_at": "2024-05-06T07:08:60Z"}, "created_at is no time like"),
        ({"created_at": "٢٠٢٤-05-06T07:08:09Z"}, "created_at is no time like"),
        ({"created_at": "0001-01-01T00:00:00+23:00"}, "created_at is"),
        ({"created_at": 1714979289}, "created_at is no text"),
        ({"last_login_at": "1969-12-31T23:59:59Z"}, "before 1970 or in the future"),
        ({"updated_at": "9999-12-31T23:59:59Z"}, "before 1970 or in the future"),
    ],
)
def test_what_is_wrong_with_a_record_is_its_reason(fields: dict[str, Any], reason: str) -> None:
    assert reason in reason_for(**fields)


def test_clocks_of_two_machines_may_differ_by_a_day() -> None:
    assert row_of(created_at=rfc3339(NOW + DAY_MS)).dated
    assert "future" in reason_for(created_at=rfc3339(NOW + DAY_MS + 1))
