from __future__ import annotations

import ipaddress

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from server.web.client_ip import client_ip

TRUSTED = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))


def ip(
    peer: str | None,
    *headers: tuple[str, str],
    trusted: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = TRUSTED,
) -> str | None:
    request = make_mocked_request("GET", "/", headers=CIMultiDict(headers)).clone(remote=peer or "")
    return client_ip(request, trusted)


@pytest.mark.parametrize(
    ("peer", "headers", "expected"),
    [
        ("203.0.113.9", [("X-Forwarded-For", "1.2.3.4")], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [("X-Forwarded-For", "198.51.100.7")], "198.51.100.7"),
        ("10.0.0.1", [("X-Forwarded-For", "6.6.6.6, 198.51.100.7, 10.0.0.2")], "198.51.100.7"),
        ("10.0.0.1", [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "198.51.100.7")], "198.51.100.7"),
        ("10.0.0.1", [("X-Forwarded-For", "6.6.6.6, nonsense, 10.0.0.2")], "10.0.0.2"),
        ("10.0.0.1", [("X-Forwarded-For", "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
        ("10.0.0.1", [("X-Forwarded-For", "198.51.100.7:4711")], "198.51.100.7"),
        ("10.0.0.1", [("Forwarded", 'for="[2001:db8::1]:80";proto=https, for=10.0.0.2')], "2001:db8::1"),
        ("10.0.0.1", [("Forwarded", "for=6.6.6.6, For=198.51.100.7;by=10.0.0.1")], "198.51.100.7"),
        ("10.0.0.1", [("Forwarded", "for=6.6.6.6, for=_hidden, for=10.0.0.2")], "10.0.0.2"),
        ("10.0.0.1", [("Forwarded", "proto=https"), ("X-Forwarded-For", "6.6.6.6")], "10.0.0.1"),
        ("::ffff:10.0.0.1", [("X-Forwarded-For", "198.51.100.7")], "198.51.100.7"),
        ("fd00::1%eth0", [("X-Forwarded-For", "2001:db8::5")], "2001:db8::5"),
    ],
)
def test_the_nearest_untrusted_address(peer: str, headers: list[tuple[str, str]], expected: str) -> None:
    assert ip(peer, *headers) == expected


@pytest.mark.parametrize(
    ("forwarded", "x_forwarded_for", "expected"),
    [
        # Each proxy writes both: they agree.
        ("for=198.51.100.7, for=10.0.0.2", "198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("for=6.6.6.6, for=198.51.100.7", "7.7.7.7, 198.51.100.7", "198.51.100.7"),
        # The proxy writes one, and the client the other.
        ("for=6.6.6.6", "198.51.100.7", "10.0.0.1"),
        ("for=198.51.100.7", "6.6.6.6", "10.0.0.1"),
        ("for=10.0.0.2", "198.51.100.7", "10.0.0.1"),
        ("nonsense", "198.51.100.7", "10.0.0.1"),
        ("", "198.51.100.7", "10.0.0.1"),
    ],
)
def test_two_headers_that_disagree_are_not_believed(forwarded: str, x_forwarded_for: str, expected: str) -> None:
    """Or a client behind a proxy that writes one of them could choose its address by the other."""
    assert ip("10.0.0.1", ("Forwarded", forwarded), ("X-Forwarded-For", x_forwarded_for)) == expected


def test_without_trusted_networks_the_peer_is_the_client() -> None:
    assert ip("10.0.0.1", ("X-Forwarded-For", "1.2.3.4"), trusted=()) == "10.0.0.1"


def test_on_a_socket_for_both_kinds_an_ipv4_client_has_its_own_address() -> None:
    """Or all of them would be one /64, whose clients share what is counted by address."""
    assert ip("::ffff:203.0.113.9", trusted=()) == "203.0.113.9"
    assert ip("::ffff:203.0.113.9") == "203.0.113.9"
    assert ip("::ffff:10.0.0.1") == "10.0.0.1"


def test_a_peer_without_an_address_stays_as_it_is() -> None:
    assert ip("", ("X-Forwarded-For", "1.2.3.4")) == ""
