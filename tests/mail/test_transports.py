"""Which way mails go, by the settings; addresses as mail servers take them."""

from __future__ import annotations

import pytest

from server.core.ids import Ids, SystemRandomness
from server.mail.folder import FolderTransport
from server.mail.mailbox import smtp_address
from server.mail.smtp import SmtpTransport
from server.mail.transports import own_name, transport_of
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
