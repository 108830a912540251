"""The words of the console for what the server says in English: each has a message, in each language."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from server.audit.model import AuditEvent
from server.mail.model import MailKind
from server.pages.messages import load_messages
from server.routes import ROUTES
from server.settings import Settings
from watchword_client.access import ANY_USER, ANYONE, DEFAULT_ROLES, Roles, only

FILES = files("server.pages").joinpath("files")
# In a form and not by `t` alone, at which test_messages.py looks.
USED = re.compile(r"""(?:around\(\s*|key: |\[)["'](console\.[\w.]+)["']""")


def script(name: str) -> str:
    return FILES.joinpath(name).read_text("utf-8")


@pytest.fixture(params=["en", "de"])
def messages(request: pytest.FixtureRequest) -> dict[str, str]:
    return load_messages(request.param)


def test_every_event_has_words_and_can_be_chosen(messages: dict[str, str]) -> None:
    chosen = re.findall(r'"(\w+)"', re.search(r"EVENTS = \[(.*?)\]", script("console-audit.js"), re.DOTALL)[1])  # type: ignore[index]
    assert sorted(chosen) == sorted(AuditEvent)
    assert [event for event in AuditEvent if f"console.event.{event}" not in messages] == []


def test_what_is_off_without_mail_is_said_as_at_the_start_of_a_server() -> None:
    words = Settings().without_mail()
    assert words is not None
    assert load_messages("en")["console.mails.off"] == f"{words[0].upper()}{words[1:]}."


def test_every_kind_of_mail_has_words(messages: dict[str, str]) -> None:
    assert [kind for kind in MailKind if f"console.mails.kind.{kind}" not in messages] == []


def test_every_reason_for_a_recent_sign_in_has_words(messages: dict[str, str]) -> None:
    said = {route.recent for route in ROUTES if route.recent}
    assert len(said) > 1
    assert [words for words in said if f"console.recent.{words}" not in messages] == []


def test_every_reason_of_a_decision_has_words(messages: dict[str, str]) -> None:
    """console-reasons.js finds the message by the sentence. The first that fits counts."""
    found = re.findall(r'^  \[/(.*)/, "(\w+)"\]', script("console-reasons.js"), re.MULTILINE)
    patterns = {key: re.compile(pattern.replace("(?<", "(?P<")) for pattern, key in found}
    roles = Roles(DEFAULT_ROLES)
    rules = (ANYONE, ANY_USER, only("admin"), only("customer"), only())
    reasons = {roles.decide(rule, role).reason for rule in rules for role in (None, "customer", "admin")}
    keys = {next(key for key, pattern in patterns.items() if pattern.search(reason)) for reason in reasons}
    assert keys == set(patterns)
    assert [key for key in keys if f"console.explain.{key}" not in messages] == []


def test_what_is_used_in_other_ways_exists(messages: dict[str, str]) -> None:
    used = {key for file in FILES.iterdir() if file.name.startswith("console") and file.name.endswith(".js")
            for key in USED.findall(file.read_text("utf-8"))}  # fmt: skip
    assert len(used) > 15
    assert [key for key in used if key not in messages] == []
