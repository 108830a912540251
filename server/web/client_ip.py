"""The client's address behind trusted proxies.

Not aiohttp-remotes: it trusts a fixed number of hops, while `server.trusted_proxies` is a set of networks, and it
answers a surprising header with an error of its own instead of not believing it.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import hdrs, web

from server.addresses import Address, address_of
from server.config.settings import Network


def client_ip(request: web.Request, trusted: Sequence[Network]) -> str | None:
    """The nearest address that is not a trusted proxy.

    Walks `Forwarded` (RFC 7239) or `X-Forwarded-For` from the right: each proxy appends the address that it saw, so
    what stands left of an untrusted address was written by that address and may be a lie. Where there are both, and
    they lead to different addresses, a proxy has passed on one that a client wrote: then neither is believed.
    """
    peer = request.remote
    if peer is None or (not trusted and ":" not in peer):
        # Of every request: an IPv4 address that nobody looks at further is not parsed.
        return peer
    nearest = _address(peer)
    if nearest is None:
        return peer
    if not _is_trusted(nearest, trusted):
        return str(nearest)
    forwarded, x_forwarded_for = _forwarded(request), _x_forwarded_for(request)
    found = {_walk(nearest, hops, trusted) for hops in (forwarded, x_forwarded_for) if hops}
    return str(found.pop() if len(found) == 1 else nearest)


def _walk(nearest: Address, hops: Sequence[str], trusted: Sequence[Network]) -> Address:
    for text in reversed(hops):
        hop = _address(text)
        if hop is None:
            # An obfuscated or unreadable hop (RFC 7239 section 6.3): what stands before it can't be attributed.
            break
        nearest = hop
        if not _is_trusted(hop, trusted):
            break
    return nearest


def _forwarded(request: web.Request) -> list[str]:
    fields = request.headers.getall(hdrs.FORWARDED, [])
    return [_for_parameter(element) for element in ",".join(fields).split(",")] if fields else []


def _x_forwarded_for(request: web.Request) -> list[str]:
    fields = request.headers.getall("X-Forwarded-For", [])
    return [part.strip() for part in ",".join(fields).split(",") if part.strip()]


def _for_parameter(element: str) -> str:
    for pair in element.split(";"):
        name, _, value = pair.strip().partition("=")
        if name.lower() == "for":
            return value.strip('"')
    return ""


def _address(text: str) -> Address | None:
    """An address with or without port, with or without brackets."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return address_of(text)


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in trusted)
