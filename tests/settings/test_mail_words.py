"""What is said of mail settings that are taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.settings import Settings
from tests.in_process import run


def _settings(url: str, public_url: str = "", mode: str = "closed") -> Settings:
    return Settings.model_validate(
        {
            "mail": {"url": url, "from": "auth@example.com" if url else ""},
            "server": {"public_url": public_url},
            "registration": {"mode": mode},
        }
    )


@pytest.mark.parametrize("url", ["smtp://mail.example.com", "smtps://127.1"])
def test_links_in_mails_to_others_must_not_lead_to_their_own_machines(url: str) -> None:
    (line,) = _settings(url).weaknesses()
    assert "their links lead to http://127.0.0.1:8080, for server.public_url is empty" in line
    assert _settings(url, "https://auth.example.com").weaknesses() == []


@pytest.mark.parametrize("url", ["", "smtp://localhost", "smtp://[::1]:25", "file:///var/mails"])
def test_trying_out_on_one_machine_is_no_weakness(url: str) -> None:
    assert _settings(url).weaknesses() == []


def test_with_mail_somebody_confirms_the_addresses_of_an_open_registration() -> None:
    (without,) = _settings("", mode="open").weaknesses()
    assert without.startswith("registration.mode = open without mail.url: ")
    assert _settings("file:///var/mails", mode="open").weaknesses() == []


def test_what_is_off_without_mail_is_said(tmp_path: Path) -> None:
    assert _settings("file:///var/mails").without_mail() is None
    said = Settings().without_mail()
    assert said is not None
    assert said.startswith("no mail is sent, since mail.url is empty: ")
    assert f"note: {said}\n" in run(tmp_path, "config", "check").stdout
