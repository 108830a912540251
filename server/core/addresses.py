"""Addresses of clients, read in one way."""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def address_of(text: str) -> Address | None:
    """The address without its zone; None if it is none.

    An IPv4 address is one also in the form in which a socket for both kinds has it, `::ffff:192.0.2.1` (RFC 4291
    section 2.5.5.2).
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if "%" in text:
        address = ipaddress.IPv6Address(int(address))
    return getattr(address, "ipv4_mapped", None) or address
