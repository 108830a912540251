"""[mail]: what is taken, and what is refused with what to write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from server.nodes.agreement import shared_settings
from server.settings.display import plain
from server.settings.mail import MailServer, MailSettings, mail_place, mailbox_parts
from server.settings.tree import ServerSettings, Settings

PASSWORD = "p@ss/w?rd#1"
FROM = "Example <auth@example.com>"


def mail(**values: Any) -> MailSettings:
    return MailSettings.model_validate(values)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("smtp://mail.example.com", MailServer("smtp", "mail.example.com", 587)),
        ("SMTP://mail.example.com", MailServer("smtp", "mail.example.com", 587)),
        ("smtps://mail.example.com", MailServer("smtps", "mail.example.com", 465)),
        ("smtp://127.0.0.1:1025", MailServer("smtp", "127.0.0.1", 1025)),
        ("smtp://[::1]:25/", MailServer("smtp", "::1", 25)),
        (
            "smtps://lak%40example.com:p%40ss%2Fw%3Frd%231@mail.example.com:2465",
            MailServer("smtps", "mail.example.com", 2465, "lak@example.com", PASSWORD),
        ),
        ("file:///var/mail", Path("/var/mail")),
        ("file:///a%20folder/", Path("/a folder")),
    ],
)
def test_a_mail_url_names_a_server_or_a_folder(url: str, place: MailServer | Path) -> None:
    assert mail_place(url) == place
    assert mail(url=url).enabled


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mail.example.com", "is no address of a mail server"),
        ("http://mail.example.com", "is no address of a mail server"),
        ("smtp:mail.example.com", "is no address of a mail server"),
        ("smtp://", "names no host"),
        ("smtp://:25", "names no host"),
        ("smtp://user:secret@", "names no host"),
        ("smtp://mail.example.com:0", "names no host"),
        ("smtp://mail.example.com:port", "no host and port"),
        ("smtp://mail.example.com:70000", "no host and port"),
        ("smtp://[::1", "no host and port"),
        ("smtp://mail.example.com/folder", "has more than"),
        ("smtp://mail.example.com?tls=no", "has more than"),
        ("smtp://user@mail.example.com", "a user without a password"),
        ("smtp://:secret@mail.example.com", "a user without a password"),
        ("smtp://user:secret/b@mail.example.com", r"%2F|no host and port"),
        ("file://folder", "names no folder"),
        ("file:///", "names no folder"),
    ],
)
def test_another_mail_url_is_refused_with_what_to_write(url: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason) as caught:
        mail(url=url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("auth@example.com", "", "auth@example.com"),
        (FROM, "Example", "auth@example.com"),
        ('"Example, Ltd" <auth@example.com>', "Example, Ltd", "auth@example.com"),
        ("Bücher <auth@bücher.example>", "Bücher", "auth@xn--bcher-kva.example"),
    ],
)
def test_who_mails_are_from_is_an_address_with_or_without_a_name(text: str, name: str, address: str) -> None:
    found = mailbox_parts(text)
    assert (found.display_name, found.addr_spec) == (name, address)
    assert mail(**{"from": text}).sender == text


@pytest.mark.parametrize(
    "text", ["Example", "auth@", "<auth@example.com", "a@b@example.com", "Example\r\nBcc: all <auth@example.com>", "<>"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="is no address"):
        mail(**{"from": text})


@pytest.mark.parametrize(
    ("section", "server", "problem"),
    [
        ({"url": "smtp://mail.example.com"}, ServerSettings(), "mail.from: mail.url needs it"),
        ({"url": "smtp://mail.example.com", "from": FROM}, ServerSettings(port=0), "mail.url: links in mails need"),
        ({"sign_in_codes": True}, ServerSettings(), "mail.sign_in_codes: codes are mailed"),
    ],
)
def test_what_does_not_fit_together_is_refused(section: dict[str, Any], server: ServerSettings, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Settings(mail=mail(**section), server=server)


def test_the_password_is_shown_nowhere() -> None:
    settings = Settings(mail=mail(**{"url": "smtp://lak:secret-word@mail.example.com", "from": FROM}))
    assert plain(settings)["mail"] | {"templates": ""} == {
        "url": "smtp://lak:********@mail.example.com",
        "from": FROM,
        "reply_to": "",
        "sign_in_codes": False,
        "sign_in_notices": True,
        "templates": "",
    }
    assert "secret-word" not in repr(settings.mail.place)
    # Nodes write what they compare into the store.
    assert shared_settings(settings)["mail.url"] == "set"
    assert shared_settings(settings)["mail.from"] == FROM
