"""Checks the origins and header names of `[cors]`. They are compared as texts, so they must be what browsers send.

A browser writes an origin in only one way (RFC 6454 section 6.2 and the URL standard): scheme and host in lower case,
names in ASCII, IPv4 as four decimal numbers, IPv6 in its shortest form, no default port, no path. An origin in any
other spelling would never match, and nobody would see why. So it is refused, and the message has the right spelling.
"""

from __future__ import annotations

import ipaddress
import re
import socket

_DEFAULT_PORTS = {"http": "80", "https": "443"}
# A common mistake: a page that opens a WebSocket still has the origin of the page.
_PAGES_OF = {"ws": "http", "wss": "https"}
# Pages with these schemes send the origin null.
_OPAQUE = {"about", "blob", "data", "file", "filesystem", "ftp", "javascript"}

# Only scheme, host and port belong to an origin.
ADDRESS = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<user>[^/?#\\]*@)?"
    r"(?P<host>\[[^/?#\\@\[\]]*\]|[^/?#\\@\[\]:]*)(?::(?P<port>[0-9]*))?(?P<rest>[/?#\\].*)?",
    re.IGNORECASE | re.DOTALL,
)
_NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_ENDS_IN_A_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
# The host of an app or an extension; it is "." in Electron's examples.
_APP_HOST = re.compile(r"[a-z0-9._-]+")
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def origin(text: str) -> str:
    """The text of an origin. Raises ValueError if no browser sends it; the message says what to write instead."""
    if "*" in text:
        raise ValueError("a wildcard would let any site use your users' cookies; list exact origins instead")
    address = ADDRESS.fullmatch(text.strip())
    if text.strip().lower() == "null" or (address and address["scheme"].lower() in _OPAQUE):
        raise ValueError(
            "null, the origin of local files and sandboxed frames, is nobody's own; serve the page by https"
        )
    sent = as_sent(address) if address else None
    if sent == text:
        return text
    # The text before an @ may be a password, so it is not repeated.
    named = "user info" if "@" in text else repr(text[:100])
    if sent is None:
        raise ValueError(
            f"{named} is no origin; write scheme://host or scheme://host:port, like https://app.example.com"
        )
    raise ValueError(f"{named} is not what a browser sends as an origin; write {sent}")


def as_sent(address: re.Match[str]) -> str | None:
    """The origin that a browser sends for a page of that address; None if there is no such page."""
    scheme, host, port = address["scheme"].lower(), address["host"].lower(), (address["port"] or "").lstrip("0")
    scheme = _PAGES_OF.get(scheme, scheme)
    written = _host(host.removesuffix(".")) if scheme in _DEFAULT_PORTS else host if _APP_HOST.fullmatch(host) else None
    if written is None or len(port) > 5 or int(port or 0) > 65535:
        return None
    return f"{scheme}://{written}" + (f":{port}" if port and port != _DEFAULT_PORTS.get(scheme) else "")


def _host(host: str) -> str | None:
    """A host in the form of the URL standard (section 3.5); None if there is no such host."""
    try:
        if not host.isascii():
            from yarl import URL  # noqa: PLC0415 - needed for one message alone

            host = URL(f"https://{host}").raw_host or ""
        if host.startswith("["):
            return f"[{_ipv6(host[1:-1])}]"
        if _ENDS_IN_A_NUMBER.fullmatch(host):
            # Only an IPv4 address can be meant. It may have fewer than four parts, in octal or hexadecimal.
            return str(ipaddress.IPv4Address(socket.inet_aton(host)))
    except (OSError, ValueError):
        return None
    return host if _NAME.fullmatch(host) else None


def _ipv6(text: str) -> str:
    address = ipaddress.IPv6Address(text)
    if address.scope_id is not None:
        raise ValueError("a zone is no part of an origin")
    if address.ipv4_mapped is None:
        return str(address)
    # Python before 3.13 writes mapped IPv4 addresses in another way than later versions.
    last = int(address.ipv4_mapped)
    return f"::ffff:{last >> 16:x}:{last & 0xFFFF:x}"


def field_name(text: str) -> str:
    """The name of a header field (RFC 9110 section 5.1). Raises ValueError for any other text."""
    if text == "*":
        raise ValueError("beside cookies, a browser takes * for a name; list the names of the headers instead")
    if not _FIELD_NAME.fullmatch(text):
        raise ValueError(f'{text!r} is no name of a header; list names alone, like ["traceparent", "tracestate"]')
    return text
