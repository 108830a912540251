"""Nothing that may be secret is shown of a URL."""

from __future__ import annotations

import json
import tomllib

import pytest

from server.settings import Settings
from server.settings.display import plain, toml_value
from server.settings.masking import masked_url
from server.settings.tree import StoreSettings


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user:hush@host/db", "postgresql://user:********@host/db"),
        ("postgresql://user:hush:hu@sh@host/db", "postgresql://user:********@host/db"),
        ("postgresql://user@host/db?password=hush", "postgresql://user@host/db?password=********"),
        ("postgresql://user@host/db?sslmode=require&PassWord=hush", "postgresql://user@host/db?sslmode=require&PassWord=********"),
        ("postgresql://user@host/db?sslmode=require&password=hu@sh", "postgresql://********"),
        ("postgresql:///db?host=/run&user=x&sslpassword=hush", "postgresql:///db?host=/run&user=x&sslpassword=********"),
        ("postgresql://host/db?options=-c%20x%3Dhush", "postgresql://host/db?options=********"),
        ("postgresql://host/db?hush", "postgresql://host/db?********"),
        ("postgresql://host/db#hush", "postgresql://host/db#********"),
        ("postgresql://host/db?passfile=hush;sslkey=hush", "postgresql://host/db?passfile=********;sslkey=********"),
        ("postgresql://user:hu/sh@host/db", "postgresql://********"),
        ("postgresql://user:hu?sh@host/db?password=hu@sh", "postgresql://********"),
        ("postgresql://user:p@hush/more@host/db", "postgresql://********"),
        ("postgresql://user:p@hush?more@host/db", "postgresql://********"),
        ("postgresql://user:p@hush#more@host/db", "postgresql://********"),
        ("postgresql://user:hush/db", "postgresql://********"),
        ("postgresql://user:hush%40host/db", "postgresql://********"),
        ("postgresql://user%3ahush@host/db", "postgresql://user:********@host/db"),
        ("postgresql://u:p@one,u:hush@two/db", "postgresql://u:********@two/db"),
        ("postgresql://user:hush@[::1]:5432,[::2]/db", "postgresql://user:********@[::1]:5432,[::2]/db"),
        ("postgresql://user:hush@%2Frun%2Fpg/db", "postgresql://user:********@%2Frun%2Fpg/db"),
        ("postgresql://one,two:5433/db?target_session_attrs=any", "postgresql://one,two:5433/db?target_session_attrs=any"),
        ("postgresql://user:@host/db", "postgresql://user:@host/db"),
        ("sqlite:///a@b:c?d#e.db", "sqlite:///a@b:c?d#e.db"),
    ],
)  # fmt: skip
def test_a_url_is_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    assert masked_url(url) == shown
    settings = Settings().model_copy(update={"store": StoreSettings.model_construct(url=url, listen_url=url)})
    assert plain(settings)["store"]["url"] == plain(settings)["store"]["listen_url"] == shown
    assert "hush" not in json.dumps(plain(settings))


@pytest.mark.parametrize("text", ["a\x1b[2J\x07", "tab\tline\nCR\r", 'quote " and \\ backslash', "\u202ea\u2028", "ü"])
def test_a_value_is_shown_without_controls_and_reads_the_same(text: str) -> None:
    shown = toml_value(text)
    assert shown.isprintable()
    assert tomllib.loads(f"x = {shown}") == {"x": text}
