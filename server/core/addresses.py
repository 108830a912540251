"""Reads the IP address of a client, in the same way everywhere."""

from __future__ import annotations

import ipaddress
import socket

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def address_of(text: str) -> Address | None:
    """The address without its zone; None if the text is not an IP address.

    `::ffff:192.0.2.1` is returned as IPv4: a socket for IPv4 and IPv6 writes IPv4 addresses in this form (RFC 4291
    section 2.5.5.2).
    """
    try:
        if ":" not in text:
            # It takes the same texts as ipaddress, in a third of the time.
            return ipaddress.IPv4Address(socket.inet_pton(socket.AF_INET, text))
        address = ipaddress.IPv6Address(text)
    except (ValueError, OSError):
        return None
    if "%" in text:
        address = ipaddress.IPv6Address(int(address))
    return address.ipv4_mapped or address
