"""Which way mails go, by the settings; addresses as mail servers take them."""

from __future__ import annotations

import pytest

from server.core.ids import Ids, SystemRandomness
from server.mail.transport.folder import FolderTransport
from server.mail.transport.mailbox import smtp_address
from server.mail.transport.smtp import SmtpTransport
from server.mail.transport.smtp_connection import _literal
from server.mail.transport.transports import own_name, transport_of
from server.settings import Settings
from tests.clock import FakeClock


def _settings(url: str) -> Settings:
    return Settings.model_validate({"mail": {"url": url, "from": "Example <auth@exämple.com>"}})


def test_the_url_decides() -> None:
    ids = Ids(FakeClock(), SystemRandomness())
    assert isinstance(transport_of(_settings("file:///var/mails"), ids), FolderTransport)
    found = transport_of(_settings("smtp://mail.example.com"), ids)
    assert isinstance(found, SmtpTransport)
    assert found.sender == "auth@xn--exmple-cua.com"


@pytest.mark.parametrize(
    ("public_url", "name"),
    [
        ("https://auth.example.com:8443", "auth.example.com"),
        ("http://localhost:8080", ""),
        ("http://127.0.0.1:8080", ""),
        ("http://[::1]:8080", ""),
        ("", ""),
    ],
)
def test_what_this_server_calls_itself(public_url: str, name: str) -> None:
    assert own_name(public_url) == name


@pytest.mark.parametrize(
    ("address", "literal"),
    [("192.0.2.1", "[192.0.2.1]"), ("::1", "[IPv6:::1]"), ("fe80::1%eth0", "[IPv6:fe80::1]")],
)
def test_without_a_name_it_is_its_address(address: str, literal: str) -> None:
    """RFC 5321 section 4.1.3."""
    assert _literal(address) == literal


@pytest.mark.parametrize(
    "address",
    [
        "lak@example.com>\r\nRCPT TO:<moore@example.com",
        "lak@example.com> SIZE=1",
        "<lak@example.com",
        '"lak@example.com moore"@example.org',
        "lak\0@example.com",
        "lak\x85@example.com",
        "@example.com",
        "example.com",
        "",
    ],
)
def test_what_would_end_the_address_is_never_sent(address: str) -> None:
    """CWE-93. Such an address is refused where it is given; this is the last door."""
    with pytest.raises(ValueError, match="no address"):
        smtp_address(address)


@pytest.mark.parametrize(
    ("address", "sent_to"),
    [
        ("lak@example.com", "lak@example.com"),
        ("läk@example.com", "läk@example.com"),
        ("lak@straße.example", "lak@xn--strae-oqa.example"),
        ("lak@почта.рф", "lak@xn--80a1acny.xn--p1ai"),
    ],
)
def test_domains_go_out_in_a_labels(address: str, sent_to: str) -> None:
    """IDNA 2008: ß is no ss, else the mail goes to somebody else's domain."""
    assert smtp_address(address) == sent_to
