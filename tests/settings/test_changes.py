"""What differs between two trees of settings, and what of it a running server can take."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from server.core.errors import ConfigurationError
from server.settings import Settings
from server.settings.changes import changed_names, needs_restart, taken_live
from server.settings.tree import (
    KeySettings,
    LimitSettings,
    ServerSettings,
    StoreSettings,
    TokenSettings,
    default_roles,
    setting_names,
)

SECRET = SecretStr("hT7pXw2LqRz9 vKc4NdYs8MbJf3GaEu6")
DOCS = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_docs_mark_what_needs_a_restart() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \|(.*)\|$", DOCS.read_text("utf-8"), re.MULTILINE)
    marked = {name for name, row in rows if "*(restart)*" in row}
    assert marked == {name for name in setting_names() if needs_restart(name)}
    assert {"server.host", "server.port", "server.workers", "store.url"} <= marked


def test_names_are_told_and_secrets_are_compared() -> None:
    before = Settings(tokens=TokenSettings(algorithm="HS256", secret=(SECRET,)))
    assert changed_names(before, Settings(tokens=before.tokens)) == []
    other = SecretStr(SECRET.get_secret_value()[::-1])
    after = Settings(
        tokens=TokenSettings(algorithm="HS256", secret=(other, SECRET)),
        limits=LimitSettings(account_guesses=10),
        access={"GET /users": ("customer",)},
        roles={**default_roles(), "support": default_roles()["customer"]},
    )
    assert changed_names(before, after) == ["tokens.secret", "limits.account_guesses", "roles", "access"]


def test_what_needs_a_restart_stays_and_the_rest_is_taken() -> None:
    running = Settings(server=ServerSettings(port=1), store=StoreSettings(url="sqlite:///a.db"))
    read = Settings(
        server=ServerSettings(port=2, max_body_bytes=4096),
        store=StoreSettings(url="sqlite:///b.db"),
        limits=LimitSettings(account_guesses=10),
    )
    taken = taken_live(running, read)
    assert (taken.server.port, taken.server.max_body_bytes, taken.store.url) == (1, 4096, "sqlite:///a.db")
    assert changed_names(running, taken) == ["server.max_body_bytes", "limits.account_guesses"]
    assert changed_names(taken, read) == ["server.port", "store.url"]


def test_the_sources_are_those_of_the_values() -> None:
    running = Settings().from_sources({"server.port": "command line", "limits.account_guesses": "file"})
    read = Settings().from_sources({"server.port": "file", "store.url": "file", "cors.origins": "environment"})
    assert taken_live(running, read).sources == {"server.port": "command line", "cors.origins": "environment"}


def test_what_does_not_fit_to_the_rest_is_refused_with_the_reason() -> None:
    url = "postgresql://watchword@127.0.0.1/watchword"
    running = Settings(store=StoreSettings(url=url), keys=KeySettings(master_key=(SECRET,)))
    with pytest.raises(ConfigurationError) as caught:
        taken_live(running, Settings(store=StoreSettings(url="sqlite:///b.db")))
    (problem,) = caught.value.problems
    assert problem.startswith("keys.master_key: PostgreSQL needs it")
    assert "restart" in problem
