"""The client's address behind trusted proxies.

The library aiohttp-remotes is not used, because it trusts a fixed number of hops, while `server.trusted_proxies` is a
set of networks. It also refuses a request with an unexpected header, while we ignore the header.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from aiohttp import hdrs, web

from server.core.addresses import Address, address_of
from server.settings.networks import Network

# An element of Forwarded up to the next separator, or nothing (RFC 7239 section 4, RFC 9110 section 5.6). White space
# beside a semicolon is not in the grammar, but what some proxies write.
_TCHAR = r"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_PAIR = re.compile(rf"""[ \t]*(?:({_TCHAR}+)=(?:({_TCHAR}+)|"((?:[^"\\]|\\.)*)"))?[ \t]*([;,]|\Z)""")
# A node with its port (RFC 7239 section 6). X-Forwarded-For has no grammar, but in practice it looks the same.
_NODE = re.compile(r"(?:([0-9.]+)|\[([0-9A-Fa-f:.]+(?:%[^\]]+)?)\])(?::(?:[0-9]{1,5}|_[0-9A-Za-z._-]+))?")

# Found once for each request: the log, the origin of a change and the throttle ask for it.
_FOUND: web.RequestKey[str | None] = web.RequestKey("client_ip", str)
# Most requests come from a few proxies. What a client has written into a header is not kept, since it may be long.
_address_of_peer = lru_cache(256)(address_of)

# An address, or None for a hop that is obfuscated, unknown (RFC 7239 section 6.3) or can't be read.
Hop = Address | None


def client_ip(request: web.Request, trusted: Sequence[Network]) -> str | None:
    """The nearest address that is not a trusted proxy.

    Walks `Forwarded` (RFC 7239) or `X-Forwarded-For` from the right. Each proxy appends the address that it saw, so an
    untrusted client may have forged everything to the left of its own address. If both headers are present and lead to
    different addresses, a proxy has passed on a header that a client wrote. Then neither header is believed.

    It is found at the first call for a request. A later one gets the same, so all have to name the same networks.
    """
    peer = request.remote
    if peer is None or (not trusted and ":" not in peer):
        # This runs for every request, so the address is not parsed if there is no trusted proxy.
        return peer
    if _FOUND not in request:
        request[_FOUND] = _nearest_untrusted(request, peer, trusted)
    return request[_FOUND]


def _nearest_untrusted(request: web.Request, peer: str, trusted: Sequence[Network]) -> str:
    nearest = _address_of_peer(peer)
    if nearest is None:
        return peer
    if not _is_trusted(nearest, trusted):
        return str(nearest)
    forwarded, x_forwarded_for = _forwarded(request), _x_forwarded_for(request)
    found = {_walk(nearest, hops, trusted) for hops in (forwarded, x_forwarded_for) if hops}
    return str(found.pop() if len(found) == 1 else nearest)


def _walk(nearest: Address, hops: Sequence[Hop], trusted: Sequence[Network]) -> Address:
    for hop in reversed(hops):
        if hop is None:
            # Nobody knows who wrote the hops before this one.
            break
        nearest = hop
        if not _is_trusted(hop, trusted):
            break
    return nearest


def _forwarded(request: web.Request) -> list[Hop]:
    return [hop for line in request.headers.getall(hdrs.FORWARDED, ()) for hop in _hops(line)]


def _hops(line: str) -> list[Hop]:
    """The hops of one field line; a single None if any part of the line does not follow the grammar."""
    elements: list[list[tuple[str, str]]] = [[]]
    position, separator = 0, ","
    while separator:
        pair = _PAIR.match(line, position)
        if pair is None:
            return [None]
        name, token, quoted, separator = pair.groups()
        if quoted is not None and quoted.endswith("="):
            # A client may have left a quote open, so a quote that a proxy appended may be read as the closing one.
            return [None]
        if name is not None:
            elements[-1].append((name.lower(), token if quoted is None else re.sub(r"\\(.)", r"\1", quoted)))
        if separator == ",":
            elements.append([])
        position = pair.end()
    # A list may have empty elements (RFC 9110 section 5.6.1.2), but at least one element must not be empty.
    return [_for_parameter(element) for element in elements if element] or [None]


def _for_parameter(element: list[tuple[str, str]]) -> Hop:
    parameters = dict(element)
    if len(parameters) < len(element):
        # A parameter occurs once (RFC 7239 section 4). If it is repeated, nobody knows which one counts.
        return None
    return _address_of_node(parameters.get("for", ""))


def _x_forwarded_for(request: web.Request) -> list[Hop]:
    fields = request.headers.getall("X-Forwarded-For", ())
    parts = [part.strip(" \t") for part in ",".join(fields).split(",")]
    return [
        address_of(part) if part.count(":") > 1 and part[0] != "[" else _address_of_node(part) for part in parts if part
    ]


def _address_of_node(text: str) -> Hop:
    node = _NODE.fullmatch(text)
    if node is None:
        return None
    four, six = node.groups()
    return address_of(four) if six is None else address_of(six) if ":" in six else None


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)
