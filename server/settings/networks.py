"""Which addresses are meant: the networks of `server.trusted_proxies`, and hosts of this machine alone."""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def network(text: str) -> str:
    """The text of a network. Raises ValueError, whose message says what to write instead."""
    try:
        found: Network = ipaddress.ip_network(re.sub("%[^/]*", "", text), strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not a network; write an address or a range like 10.0.0.0/8") from None
    mapped = found.network_address.ipv4_mapped if isinstance(found, ipaddress.IPv6Network) else None
    if mapped is not None and found.prefixlen >= 96:
        found = ipaddress.ip_network((mapped, found.prefixlen - 96), strict=False)
    with suppress(ValueError):
        # Addresses of clients have no zone, and mapped IPv4 addresses are IPv4 (server/core/addresses.py).
        if ipaddress.ip_network(text) == found:
            return text
    raise ValueError(f"{text!r} is no network that a proxy can be in; write {found}")


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine can connect to a listener of that host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_unspecified(host: str) -> bool:
    """Whether a listener of that host listens on all addresses of the machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def reached_at(host: str) -> str:
    """Where a program on this machine reaches a listener of that host."""
    if not is_unspecified(host):
        return host
    return "::1" if ":" in host else "127.0.0.1"
