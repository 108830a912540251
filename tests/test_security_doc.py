"""docs/security.md says what is so: its tests exist, and its numbers are those of the code."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from server.authentication.attempts import FORGET_MS, LONGEST_WAIT_MS
from server.authentication.throttling import DEVICE_ATTEMPTS, FREE_FAILURES
from server.challenges.model import CODES, OPEN, Purpose
from server.http.body import MAXIMUM_MEMBERS
from server.http.connection import FRAMING_BYTES, HALF_CLOSED_SECONDS, HEAD_BYTES, WRITE_SECONDS
from server.http.listening import UNSENT_BYTES
from server.http.runner import ENOUGH_DESCRIPTORS, KEEPALIVE_SECONDS, KEPT_DESCRIPTORS
from server.passwords.hasher import MAXIMUM_BYTES
from server.sessions.cookies import BROWSER_SECONDS, DEVICE_SECONDS
from server.settings import Settings
from watchword_client import token_checks

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "security.md").read_text("utf-8")

NAMED_TESTS = sorted(set(re.findall(r"`(tests/[^`]+)`", TEXT)))
NAMED_SETTINGS = sorted(set(re.findall(rf"`((?:{'|'.join(Settings.model_fields)})\.[a-z_]+)`", TEXT)))
DEFAULTS = re.findall(r"^\| `([a-z]+\.[a-z_]+)` \| (.*) \|$", TEXT, re.MULTILINE) + re.findall(
    r"`([a-z]+\.[a-z_]+)` \((.*?)\)", TEXT
)
ACCOUNT_GUESSES = Settings().limits.account_guesses
DAY_SECONDS = 86_400
FIXED = {
    "unknown devices, all of them together": ACCOUNT_GUESSES * 7 // 10,
    "one known device": DEVICE_ATTEMPTS,
    "all known devices of the account together": ACCOUNT_GUESSES * 2 // 10,
    "who is logged in, to change the password or to prove again who they are": ACCOUNT_GUESSES // 10,
    "wrong passwords from unknown devices before the first wait": FREE_FAILURES,
    "longest wait, in seconds": LONGEST_WAIT_MS // 1000,
    "codes that are looked at for a mail without its link": CODES,
    "codes that are looked at for a mail with its link": CODES,
    "mails of a user and purpose that are good at the same time, but for resets of passwords": OPEN,
    "minutes in which a mail sets a new password": Purpose.RESET_PASSWORD.life_ms // 60_000,
    "minutes in which a mail signs in": Purpose.SIGN_IN.life_ms // 60_000,
    "hours in which a mail confirms an address": Purpose.CONFIRM_EMAIL.life_ms // 3_600_000,
    "days that a browser is known that has asked for a mail": BROWSER_SECONDS // DAY_SECONDS,
    "days until a count that nobody touched is deleted": FORGET_MS // 1000 // DAY_SECONDS,
    "days that a browser keeps the device cookie after a login": DEVICE_SECONDS // DAY_SECONDS,
    "bytes of a password": MAXIMUM_BYTES,
    "characters of an access token": token_checks.MAXIMUM_LENGTH,
    "seconds that a token may be ahead of this server's clock": token_checks.FUTURE_SECONDS,
    "seconds for unfinished headers or an idle connection, from its start or last answer on": int(KEEPALIVE_SECONDS),
    "seconds until the first byte of a connection": int(KEEPALIVE_SECONDS),
    "bytes of unfinished headers": HEAD_BYTES,
    "bytes of chunk sizes, extensions and trailers in a body, beyond as many as it has content": FRAMING_BYTES,
    "seconds in which a client that is answered has to take something": int(WRITE_SECONDS),
    "seconds that who sends no more is answered for; then it has left": int(HALF_CLOSED_SECONDS),
    "fields of a body": MAXIMUM_MEMBERS,
    "bytes of answers that the system holds for a client beyond what its side has room for": UNSENT_BYTES,
    "descriptors of a process, if the system grants so many": ENOUGH_DESCRIPTORS,
    "of these, those that are no connections": KEPT_DESCRIPTORS,
}


def default_of(name: str) -> str:
    """As the document writes it."""
    section, _, key = name.partition(".")
    value = getattr(getattr(Settings(), section), key)
    return str(list(value)) if isinstance(value, tuple) else str(value)


@cache
def functions_in(path: Path) -> frozenset[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, kinds))


@pytest.mark.parametrize("named", NAMED_TESTS)
def test_every_test_that_is_named_exists(named: str) -> None:
    path, _, name = named.partition("::")
    assert name.startswith("test_")
    assert name in functions_in(ROOT / path)


def test_every_promise_has_a_test() -> None:
    """The rows of the tables of promises, but for their heads."""
    tables = re.findall(r"^\| promise \| held by \|\n\| --- \| --- \|\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    rows = [row for table in tables for row in table.splitlines()]
    assert len(rows) > 50
    for row in rows:
        assert re.fullmatch(r"\| [^|]+ \| `tests/[^`]+`(, `tests/[^`]+`)* \|", row), row


@pytest.mark.parametrize(("name", "value"), DEFAULTS)
def test_every_default_is_the_one_in_force(name: str, value: str) -> None:
    assert default_of(name) == value


def test_every_limit_has_its_default() -> None:
    assert {f"limits.{name}" for name in type(Settings().limits).model_fields} <= {name for name, _ in DEFAULTS}


@pytest.mark.parametrize("name", NAMED_SETTINGS)
def test_every_setting_that_is_named_exists(name: str) -> None:
    section, _, key = name.partition(".")
    assert key in type(getattr(Settings(), section)).model_fields


@pytest.mark.parametrize(("limit", "value"), FIXED.items())
def test_every_fixed_limit_is_the_one_of_the_code(limit: str, value: int) -> None:
    assert f"\n| {limit} | {value} |\n" in TEXT


def test_no_number_in_a_table_goes_unchecked() -> None:
    rows = re.findall(r"^\| ([^|`]+) \| (\d+) \|$", TEXT, re.MULTILINE)
    assert {limit for limit, _ in rows} == set(FIXED)


def test_those_who_look_for_it_find_it() -> None:
    assert "(docs/security.md)" in (ROOT / "README.md").read_text("utf-8")
    assert "(security.md#guessing)" in (ROOT / "docs" / "http.md").read_text("utf-8")
    assert "\n## Guessing\n" in TEXT
