from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import SecretStr

from server.nodes.agreement import differing_clocks, differing_settings, shared_settings, tolerance_ms
from server.nodes.model import ClockAhead, Node
from server.settings import Settings
from server.settings.tree import SessionSettings, TokenSettings, setting_names

SECRET, OTHER_SECRET = "hT7pXw2LqRz9 vKc4NdYs8MbJf3GaEu6", "Zk5tQy8WnLr3 xBv7HcPm2JdSg9FaUe4"


def node(settings: Settings, *, number: int = 1, clock_ahead_ms: int = 0) -> Node:
    shared = json.dumps(shared_settings(settings))
    return Node(f"id{number}", f"web-{number}", 7, "0.1.0", 10, shared, clock_ahead_ms, 0, 0)


def texts_of(mine: Settings, *others: Settings) -> list[str]:
    nodes = [node(settings, number=number) for number, settings in enumerate(others, 1)]
    return [finding.text for finding in differing_settings(shared_settings(mine), nodes)]


def with_tokens(**changes: Any) -> Settings:
    return Settings(tokens=TokenSettings(**changes))


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("tokens", {"issuer": "other"}),
        ("tokens", {"audience": "other"}),
        ("tokens", {"algorithm": "EdDSA"}),
        ("tokens", {"access_ttl_seconds": 301}),
        ("sessions", {"idle_ttl_seconds": 99}),
        ("sessions", {"max_ttl_seconds": 1209601}),
        ("sessions", {"retry_window_seconds": 0}),
        ("passwords", {"bcrypt_cost": 13}),
        ("passwords", {"min_length": 16}),
        ("keys", {"rotate_every_days": 31}),
        ("limits", {"account_guesses": 99}),
        ("registration", {"mode": "open"}),
        ("cors", {"origins": ("https://a.example",)}),
        ("pages", {"languages": ("de", "en")}),
        ("server", {"public_url": "https://auth.example.com"}),
    ],
)
def test_what_nodes_decide_together_has_to_be_the_same(section: str, change: dict[str, Any]) -> None:
    other = Settings(**{section: getattr(Settings(), section).model_copy(update=change)})
    (text,) = texts_of(Settings(), other)
    assert text.startswith(f"{section}.{next(iter(change))} is ")
    assert "on web-1 (pid 7); it has to be the same on all nodes" in text
    assert texts_of(other, other) == []


def test_roles_and_access_have_to_be_the_same() -> None:
    mine = Settings()
    other = Settings.model_validate(
        {
            "roles": {**mine.roles, "support": {"includes": ("customer",)}},
            "access": {"GET /users": ("support", "admin")},
        }
    )
    assert [text.partition(" ")[0] for text in texts_of(mine, other)] == ["roles", "access"]
    # In another order they are the same.
    turned = other.model_copy(update={"access": {"GET /users": ("admin", "support")}})
    assert texts_of(other, turned) == []


def test_what_is_of_one_machine_may_differ() -> None:
    own = {"server", "store", "logs", "metrics"}
    compared = set(shared_settings(with_tokens(algorithm="HS256", secret=(SecretStr(SECRET),))))
    left_out = {name for name in setting_names() if name.partition(".")[0] not in own} - compared
    assert left_out == {
        "tokens.cache_size",
        "passwords.hash_threads",
        "passwords.hash_queue",
        "passwords.hash_wait_seconds",
        "keys.master_key",
        "mail.templates",
    }
    assert {name for name in compared if name.partition(".")[0] in own} == {"server.public_url"}


def test_a_shared_secret_is_compared_and_not_told() -> None:
    both = (SecretStr(SECRET), SecretStr(OTHER_SECRET))
    mine, other = (with_tokens(algorithm="HS256", secret=secrets) for secrets in (both[:1], both))
    (text,) = texts_of(mine, other)
    assert text.startswith("tokens.secret is another (")
    assert SECRET not in text + node(mine).settings
    # Without HS256 nothing is made with it.
    assert texts_of(with_tokens(secret=both[:1]), with_tokens(secret=both[1:])) == []


def test_a_long_value_is_not_written_out_and_a_setting_is_told_once_for_all_nodes() -> None:
    (text,) = texts_of(Settings(), with_tokens(issuer="x" * 200), with_tokens(issuer="y"))
    assert len(text) < 200
    assert 'is "my-api" here, another (' in text
    assert text.count(") on web-1 (pid 7) and ") == 1
    assert '"y" on web-2 (pid 7)' in text


def test_a_setting_that_another_version_does_not_have_is_not_compared() -> None:
    other = node(Settings())
    fewer = json.loads(other.settings)
    del fewer["tokens.issuer"]
    older = Node(*(other.id, "old", 1, "0.0.1", 9, json.dumps(fewer | {"gone.setting": 1}), 0, 0, 0))
    assert differing_settings(shared_settings(with_tokens(issuer="new")), [older]) == []


@pytest.mark.parametrize(
    ("window", "tolerance"),
    [(30, 7500), (300, 75000), (4, 1000), (0, 1000)],
)
def test_clocks_may_be_apart_by_a_quarter_of_the_retry_window(window: int, tolerance: int) -> None:
    settings = Settings(sessions=SessionSettings(retry_window_seconds=window))
    assert tolerance_ms(settings) == tolerance
    for ahead in (tolerance, -tolerance):
        assert differing_clocks(ClockAhead(ahead, 0), [node(settings, clock_ahead_ms=0)], tolerance) == []
    (late,) = differing_clocks(ClockAhead(-tolerance - 100, 0), [node(settings)], tolerance)
    assert f"the clock of this machine is {(tolerance + 100) / 1000:.1f} s behind the database's" in late.text
    (ahead_there,) = differing_clocks(ClockAhead(-500, 0), [node(settings, clock_ahead_ms=tolerance)], tolerance)
    assert f"the clock of web-1 (pid 7) is {(tolerance + 500) / 1000:.1f} s ahead of the one of" in ahead_there.text


def test_a_slow_answer_of_the_database_makes_no_clock_wrong() -> None:
    """Its time was read at some moment during the wait for it."""
    assert differing_clocks(ClockAhead(9000, 2000), [], 7500) == []
    assert differing_clocks(ClockAhead(9600, 2000), [], 7500)
