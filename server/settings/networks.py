"""Networks of `server.trusted_proxies`: only such as an address of a client can be in."""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def network(text: str) -> str:
    """The text. Raises ValueError, which says what to write instead."""
    try:
        found: Network = ipaddress.ip_network(re.sub("%[^/]*", "", text), strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not a network; write an address or a range like 10.0.0.0/8") from None
    mapped = found.network_address.ipv4_mapped if isinstance(found, ipaddress.IPv6Network) else None
    if mapped is not None and found.prefixlen >= 96:
        found = ipaddress.ip_network((mapped, found.prefixlen - 96), strict=False)
    with suppress(ValueError):
        # Clients are compared without zone, and IPv4 ones by that address: see server/core/addresses.py.
        if ipaddress.ip_network(text) == found:
            return text
    raise ValueError(f"{text!r} is no network that a proxy can be in; write {found}")
