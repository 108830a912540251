from __future__ import annotations

import ipaddress

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from server.http.client_ip import client_ip

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


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        # What a proxy copies into a quoted string says nothing, whatever separators are in it.
        ('for=198.51.100.7;host="a, for=6.6.6.6"', "198.51.100.7"),
        ('for=198.51.100.7;host="a,for=6.6.6.6,b"', "198.51.100.7"),
        ('host="a;for=6.6.6.6";for=198.51.100.7', "198.51.100.7"),
        ('for=198.51.100.7;host="a\\", for=6.6.6.6"', "198.51.100.7"),
        ('for=198.51.100.7;host="a\\\\";proto=http, for=10.0.0.2;host=","', "198.51.100.7"),
        ('for=198.51.100.7;host="for=6.6.6.6"', "198.51.100.7"),
        ('for=198.51.100.7;host="\u00e9, for=6.6.6.6"', "198.51.100.7"),
        # Names in any case, quoted pairs, ports, brackets, white space beside separators.
        ('FOR="198.51.100.7"', "198.51.100.7"),
        ('for="198.51.100\\.7"', "198.51.100.7"),
        ('for="198.51.100.7:4711"', "198.51.100.7"),
        ('for="198.51.100.7:_port"', "198.51.100.7"),
        ('by=10.0.0.1 ;\tproto=https; FoR="[2001:DB8::1]"', "2001:db8::1"),
        ('for="[2001:db8::1]:4711"', "2001:db8::1"),
        ('for="[::ffff:198.51.100.7]:4711"', "198.51.100.7"),
        ('for="[fe80::1%eth0]"', "fe80::1"),
        # Elements without anything in them do not count, nor do pairs.
        ("for=198.51.100.7,, ,for=10.0.0.2,", "198.51.100.7"),
        (";;for=198.51.100.7;;proto=https;", "198.51.100.7"),
        # A hop that tells nothing ends the way.
        ("for=6.6.6.6, for=unknown, for=10.0.0.2", "10.0.0.2"),
        ('for=6.6.6.6, for="_gazonk:80", for=10.0.0.2', "10.0.0.2"),
        ("for=6.6.6.6, proto=https, for=10.0.0.2", "10.0.0.2"),
        ("for=6.6.6.6;for=7.7.7.7, for=10.0.0.2", "10.0.0.2"),
        ("for=6.6.6.6;proto=http;Proto=https, for=10.0.0.2", "10.0.0.2"),
        # An address is one as a whole.
        ('for="6.6.6.6 "', "10.0.0.1"),
        ('for="[6.6.6.6]"', "10.0.0.1"),
        ('for="[2001:db8::1]6"', "10.0.0.1"),
        ('for="[2001:db8::1"', "10.0.0.1"),
        ('for="2001:db8::1"', "10.0.0.1"),
        ('for="6.6.6.6:80:80"', "10.0.0.1"),
        ('for="6.6.6.6:http"', "10.0.0.1"),
        ('for="6.6.6.6%eth0"', "10.0.0.1"),
        ('for="[2001:db8::1%]"', "10.0.0.1"),
        ("for=006.6.6.6", "10.0.0.1"),
        ('for=""', "10.0.0.1"),
        # What does not follow the grammar is not believed, and nothing of it.
        ("for=[2001:db8::1]", "10.0.0.1"),
        ("for=6.6.6.6:80", "10.0.0.1"),
        ("for=6.6.6.6;proto=", "10.0.0.1"),
        ("for = 6.6.6.6", "10.0.0.1"),
        ("for=6.6.6.6 for=7.7.7.7", "10.0.0.1"),
        ('for="6.6.6.6', "10.0.0.1"),
        ('for="6.6.6.6, for=198.51.100.7', "10.0.0.1"),
        ('for=6.6.6.6;host="a"b', "10.0.0.1"),
        ('for=6.6.6.6;host="a\\"', "10.0.0.1"),
        ("for=6.6.6.6, 7.7.7.7", "10.0.0.1"),
        ("for=6.6.6.6\u00a0", "10.0.0.1"),
        (" , ", "10.0.0.1"),
        # A client leaves a quote open, and the proxy adds its element behind it, with a host that closes the next one.
        ('for=6.6.6.6;host=", for=198.51.100.7;host=";by="', "10.0.0.1"),
        ('for=6.6.6.6;host="\\, for="[2001:db8::1]";by=_x', "10.0.0.1"),
    ],
)
def test_forwarded_is_read_by_its_grammar(forwarded: str, expected: str) -> None:
    """RFC 7239 section 4. Else a client could write an address where a proxy copies text to, as from Host."""
    assert ip("10.0.0.1", ("Forwarded", forwarded)) == expected


def test_each_line_of_forwarded_is_read_by_itself() -> None:
    lines = [("Forwarded", 'for=6.6.6.6;host="'), ("Forwarded", 'for=198.51.100.7;host="a"')]
    assert ip("10.0.0.1", *lines) == "198.51.100.7"
    assert ip("10.0.0.1", ("Forwarded", "for=198.51.100.7"), ("Forwarded", "for=10.0.0.2")) == "198.51.100.7"
    assert (
        ip("10.0.0.1", ("Forwarded", "for=6.6.6.6"), ("Forwarded", "nonsense"), ("Forwarded", "for=10.0.0.2"))
        == "10.0.0.2"
    )


@pytest.mark.parametrize(
    ("x_forwarded_for", "expected"),
    [
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%eth0]:80", "fe80::1"),
        (", 6.6.6.6,, \t198.51.100.7 ,,", "198.51.100.7"),
        (" , ", "10.0.0.1"),
        ("6.6.6.6, unknown, 10.0.0.2", "10.0.0.2"),
        ("6.6.6.6, [198.51.100.7, 10.0.0.2", "10.0.0.2"),
        ("[2001:db8::1]6.6.6.6", "10.0.0.1"),
        ("[6.6.6.6]", "10.0.0.1"),
        ("6.6.6.6%eth0", "10.0.0.1"),
        ("2001:db8::1%", "10.0.0.1"),
        ("6.6.6.6:", "10.0.0.1"),
        ("6.6.6.6:8x", "10.0.0.1"),
        ("6.6.6.6:123456", "10.0.0.1"),
        ('"6.6.6.6"', "10.0.0.1"),
        ("for=6.6.6.6", "10.0.0.1"),
        ("\u00a06.6.6.6", "10.0.0.1"),
        ("6.6.6.6 7.7.7.7", "10.0.0.1"),
        ("\u0666.6.6.6", "10.0.0.1"),
        ("0x06.6.6.6", "10.0.0.1"),
        ("101058054", "10.0.0.1"),
    ],
)
def test_a_part_of_x_forwarded_for_is_an_address_as_a_whole_or_none(x_forwarded_for: str, expected: str) -> None:
    assert ip("10.0.0.1", ("X-Forwarded-For", x_forwarded_for)) == expected


def test_without_trusted_networks_the_peer_is_the_client() -> None:
    assert ip("10.0.0.1", ("X-Forwarded-For", "1.2.3.4"), trusted=()) == "10.0.0.1"


def test_on_a_socket_for_both_kinds_an_ipv4_client_has_its_own_address() -> None:
    """Or all of them would be one /64, whose clients share what is counted by address."""
    assert ip("::ffff:203.0.113.9", trusted=()) == "203.0.113.9"
    assert ip("::ffff:203.0.113.9") == "203.0.113.9"
    assert ip("::ffff:10.0.0.1") == "10.0.0.1"


def test_a_peer_without_an_address_stays_as_it_is() -> None:
    assert ip("", ("X-Forwarded-For", "1.2.3.4")) == ""
