"""Headers of mails, and what no value can do to them."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest

from server.mail.errors import MailFailed, TemplateFailed
from server.mail.model import MailKind
from server.mail.rendering.samples import samples
from tests.mail.rendering.rendered import AT, EVERY, ORIGIN, part, rendered, renderer

# CWE-93, and CVE-2024-6923 of Python's email package: an encoded word that holds a line break.
BREAKS = ("\r\n", "\n", "\r", "\0", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\ud800")
INJECTED = [
    *(f"lak{mark}Bcc: evil@example.com{mark}{mark}<b>evil</b>" for mark in BREAKS),
    "lak =?utf-8?q?a=0D=0ABcc:_evil@example.com?= x",
    "lak =?utf-8?b?DQpCY2M6IGV2aWxAZXhhbXBsZS5jb20=?=",
    "==??utf-8?q?=0ABcc:_evil@example.com?=",
]  # fmt: skip
HEADERS = ["From", "Auto-Submitted", "X-Auto-Response-Suppress", "To", "Subject", "Date", "Message-ID",
           "Content-Language", "MIME-Version", "Content-Type"]  # fmt: skip


def sent(message: EmailMessage) -> EmailMessage:
    """The mail as it is read from the wire."""
    return email.message_from_bytes(message.as_bytes(), EmailMessage, policy=email.policy.SMTP)


@pytest.mark.parametrize(("kind", "language", "number"), EVERY)
def test_each_mail_has_the_headers_of_an_automatic_one(kind: MailKind, language: str, number: int) -> None:
    message = sent(rendered(kind, language, samples(kind)[number]))
    assert sorted(message.keys()) == sorted(HEADERS)
    assert message["From"] == "Example <auth@example.com>"
    assert message["To"] == "lak@example.com"
    assert message["Message-ID"] == "<1@auth.example.com>"
    assert message["Date"].datetime == datetime.fromtimestamp(AT / 1000, UTC)
    assert message["Content-Language"] == language
    # RFC 3834 section 5.
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "multipart/alternative"
    types = [inner.get_content_type() for inner in message.iter_parts()]
    assert types == ["text/plain", "text/html"]
    assert {str(inner.get_content_charset()) for inner in message.iter_parts()} == {"utf-8"}


def test_english_is_readable_as_it_is_and_every_line_fits_smtp() -> None:
    for kind, language, number in EVERY:
        message = rendered(kind, language, samples(kind)[number])
        raw = message.as_bytes()
        assert raw.isascii()
        assert max(len(line) for line in raw.splitlines()) <= 998
        if language == "en" and kind is not MailKind.PASSWORD_CHANGED:
            assert b"Content-Transfer-Encoding: 7bit" in raw
            assert raw.count(b"quoted-printable") == 0
            assert str(samples(kind)[number].get("path", "")).encode() in raw


@pytest.mark.parametrize("text", INJECTED)
@pytest.mark.parametrize("kind", list(MailKind))
def test_no_value_makes_a_header_or_an_element(kind: MailKind, text: str) -> None:
    numbers = {"at", "expires_at", "hours", "minutes"}
    values = {name: text for name in samples(kind)[0] if name not in numbers}
    message = sent(rendered(kind, "de", values, by=renderer()))
    assert sorted(message.keys()) == sorted(HEADERS)
    for header in HEADERS:
        assert "\n" not in str(message[header])
    assert "<b>" not in part(message, "html")
    assert not any(line.lower().startswith("bcc") for line in part(message, "plain").splitlines())
    assert message.defects == []


@pytest.mark.parametrize("text", INJECTED)
def test_the_name_of_the_service_makes_no_header(text: str) -> None:
    """The settings refuse some of these names; mails would stay whole with any."""
    by = renderer()
    by._service = text
    message = sent(rendered(MailKind.TEST, by=by))
    assert sorted(message.keys()) == sorted(HEADERS)
    assert "evil" in str(message["Subject"]) or "=?" in text
    assert "\n" not in str(message["Subject"])


def test_an_encoded_word_in_the_name_of_the_service_or_sender_stays_text() -> None:
    word = "=?utf-8?q?a=0D=0ABcc:_evil@example.com?="
    for by in (
        renderer(name=word),
        renderer(sender=f"{word} <auth@example.com>"),
        renderer(reply_to=f"{word} <a@b.example>"),
    ):
        message = sent(rendered(MailKind.TEST, by=by))
        assert "Bcc" not in message
        for header in ("From", "Subject", "Reply-To"):
            assert "\n" not in str(message[header] or "")


def test_a_sender_with_a_name_keeps_it_and_answers_go_where_they_should() -> None:
    by = renderer(sender='"Müller, Söhne" <auth@bücher.example>', reply_to="Help <help@example.com>")
    message = sent(rendered(MailKind.TEST, by=by))
    (sender,) = message["From"].addresses
    assert (sender.display_name, sender.addr_spec) == ("Müller, Söhne", "auth@xn--bcher-kva.example")
    assert str(message["Reply-To"]) == "Help <help@example.com>"
    assert message.as_bytes().isascii()


def test_a_domain_is_in_a_labels_and_only_a_local_part_needs_smtputf8() -> None:
    """RFC 5890, RFC 6531."""
    message = rendered(MailKind.TEST, recipient="lak@bücher.example")
    assert b"To: lak@xn--bcher-kva.example\r\n" in message.as_bytes()
    assert message.as_bytes().isascii()
    message = rendered(MailKind.TEST, recipient="läk@bücher.example")
    assert "To: läk@xn--bcher-kva.example\r\n".encode() in message.as_bytes()
    for recipient in ("a.b+c!#$%&'*/=?^_`{|}~-@example.com", f"{'x' * 64}@{'y' * 63}.{'z' * 63}.example.com"):
        assert sent(rendered(MailKind.TEST, recipient=recipient))["To"].addresses[0].addr_spec == recipient


@pytest.mark.parametrize("word", ["=?utf-8?q?a=0D=0ABcc=3Aevil?=", "=?utf-8?q?a=0Ab?=", "=?utf-8?b?YQ1i?="])
def test_an_address_that_breaks_a_header_gets_no_mail(word: str) -> None:
    """CVE-2024-6923. No such address is taken any more (server/emails/address.py), but older ones may be there."""
    with pytest.raises(MailFailed, match=r"^the header To would have a line break in it$"):
        rendered(MailKind.TEST, recipient=f"{word}@example.com")


@pytest.mark.parametrize("username", ["שלום", "محمد", "x" * 128, "\N{PARTY POPPER}", "<i>&\"'</i>", "a@b.example"])
def test_names_of_any_script_and_length_are_shown_as_they_are(username: str) -> None:
    for language in ("en", "de"):
        message = sent(rendered(MailKind.RESET_PASSWORD, language, {"username": username}))
        shown = part(message, "plain").splitlines()
        isolates = "\N{FIRST STRONG ISOLATE}\N{POP DIRECTIONAL ISOLATE}"
        assert username in "".join(line for line in shown[:3]).translate(dict.fromkeys(map(ord, isolates)))
        assert f"{ORIGIN}{samples(MailKind.RESET_PASSWORD)[0]['path']}" in shown
    # From right to left: it is set apart, so that the comma behind it stays behind it (UAX 9 section 2.7).
    assert ("\N{FIRST STRONG ISOLATE}" in "".join(shown)) is (username in {"שלום", "محمد"})


def test_what_turns_text_around_is_taken_away() -> None:
    """CVE-2021-42574: names with overrides would show another address than they hold."""
    message = rendered(
        MailKind.EMAIL_ADDED, values={"username": "lak\u202e\u2066\u200f", "email": "a\u202b@example.org"}
    )
    text = part(message, "plain")
    assert text.startswith("Hello lak,\n")
    assert "a@example.org" in text


def test_a_value_that_is_missing_fails_with_file_and_line_and_without_values() -> None:
    with pytest.raises(TemplateFailed, match=r"^reset-password\.en\.txt, line 3: UndefinedError$"):
        renderer().render(
            MailKind.RESET_PASSWORD,
            "en",
            {"path": "/x", "code": "secret", "minutes": 1},
            recipient="lak@example.com",
            message_id="<1@example.com>",
            date_at=AT,
        )
