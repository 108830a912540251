"""The messages: each language has all of them, with the same placeholders, and what is used exists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from server.core.errors import InvalidRequest
from server.emails.address import check_spelling
from server.http.body import validate
from server.pages.messages import PLACEHOLDER, load_messages
from server.passwords.policy import PasswordPolicy
from server.registration.schemas import InvitationBody
from server.users.schemas import NewUserBody

FOLDER = Path(str(files("server.pages")))
LANGUAGES = ("en", "de")
USED = re.compile(r"""\b(?:t|around)\(\s*["']([a-z_]+\.[\w.]+)["']""")
COUNTED = re.compile(r"""\bcount\(\s*["']([a-z_]+\.[\w.]+)["']""")


def sets() -> dict[str, dict[str, str]]:
    """The name of each set of messages (`""` for en.json, `console` for console.en.json) by language."""
    found: dict[str, dict[str, str]] = {}
    for file in (FOLDER / "messages").iterdir():
        *name, language, _ = file.name.split(".")
        found.setdefault(".".join(name), {})[language] = file.name
    return found


def read(name: str) -> dict[str, str]:
    pairs: list[tuple[str, str]] = json.loads((FOLDER / "messages" / name).read_text("utf-8"), object_pairs_hook=list)
    assert len({key for key, _ in pairs}) == len(pairs), f"{name} has a key twice"
    return dict(pairs)


@pytest.mark.parametrize("name", sets())
def test_each_language_has_the_same_messages(name: str) -> None:
    names = sets()[name]
    assert set(names) == set(LANGUAGES)
    first, *others = (read(names[language]) for language in LANGUAGES)
    for other in others:
        assert first.keys() == other.keys()
        for key, message in first.items():
            assert message.strip() == message != ""
            assert set(PLACEHOLDER.findall(message)) == set(PLACEHOLDER.findall(other[key])), key


def used() -> Iterator[tuple[str, str]]:
    for file in (*(FOLDER / "files").glob("*.js"), *(FOLDER / "templates").glob("*.html")):
        text = file.read_text("utf-8")
        for key in USED.findall(text):
            yield file.name, key
        for key in COUNTED.findall(text):
            yield file.name, f"{key}.one"
            yield file.name, f"{key}.other"


def test_what_is_used_exists() -> None:
    messages = load_messages("en")
    found = list(used())
    assert len(found) > 20
    assert [(file, key) for file, key in found if key not in messages] == []


def test_what_the_server_says_of_fields_has_a_message() -> None:
    """field-words.js finds the message by a part of the sentence."""
    script = (FOLDER / "files" / "field-words.js").read_text("utf-8")
    found = re.findall(r'^  \[/(.*)/, "(.*)"\],$', script, re.MULTILINE)
    patterns = [re.compile(pattern.replace("(?<", "(?P<")) for pattern, _ in found]
    assert {key for _, key in found} <= load_messages("en").keys()
    policy = PasswordPolicy(15, ["Watchword"])
    passwords = ("short", "é" * 4000, "watchwordwatchword", "aaaaaaaaaaaaaaaaaaaa", "correcthorsebatterystaple",
                 "monday january 1990")  # fmt: skip
    said = {problem for password in passwords for problem in policy.problems(password, ["lak"])}
    names = {"": "x" * 300, "a b": "x", "a" * 200: "\n", "a\u0430": "", "a\u00a9b": "x"}
    for username, name in names.items():
        with pytest.raises(InvalidRequest) as refused:
            validate(NewUserBody, {"username": username, "name": name, "role": "customer"})
        said |= {error["message"] for error in refused.value.members["errors"]}
    for uses in ("x", 0, 10**9):
        with pytest.raises(InvalidRequest) as refused:
            validate(InvitationBody, {"uses": uses})
        said |= {error["message"] for error in refused.value.members["errors"]}
    with pytest.raises(ValueError, match="Write") as misspelt:
        check_spelling("lak@xn--bcher-kva.b\u00fccher.example")
    said.add(f"{misspelt.value}.")
    assert len(said) >= 16
    for sentence in said:
        assert any(pattern.search(sentence) for pattern in patterns), sentence
