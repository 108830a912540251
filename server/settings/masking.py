"""Masks the secrets in a URL."""

from __future__ import annotations

import re

MASK = "********"
# Parameters of a PostgreSQL URL that are never secret; all others are masked.
_PLAIN = frozenset(
    {
        "application_name",
        "connect_timeout",
        "dbname",
        "database",
        "host",
        "hostaddr",
        "port",
        "sslmode",
        "ssl_min_protocol_version",
        "ssl_max_protocol_version",
        "target_session_attrs",
        "user",
    }
)
# Where one part of a query or fragment ends.
_PARTS = re.compile(r"([?&;#])")
# If the colon is percent-encoded too, user and password together are the user name.
_COLON = re.compile("(:|%3a)", re.IGNORECASE)
_HOST = r"(?:\[[^\[\]]*\]|[^\[\]:,]*)(?::\d*)?"
_HOSTS = re.compile(rf"{_HOST}(?:,{_HOST})*")


def masked_url(url: str) -> str:
    """A URL (RFC 3986) without its password and without the values of parameters that may be secret.

    If it can't be parsed, for example since the password contains a `/` or the host is missing, all of it is masked.
    """
    scheme, slashes, rest = url.partition("://")
    if scheme == "sqlite":
        return url
    end = next((at for at, character in enumerate(rest) if character in "/?#"), len(rest))
    credentials, at_sign, hosts = rest[:end].rpartition("@")
    if "@" in rest[end:] or not _HOSTS.fullmatch(hosts):
        return f"{scheme}{slashes}{MASK}"
    user, *password = _COLON.split(credentials, maxsplit=1)
    if any(password[1:]):
        password = [":", MASK]
    first, *others = _PARTS.split(rest[end:])
    parts = map(_masked_part, others[::2], others[1::2])
    return "".join([scheme, slashes, user, *password, at_sign, hosts, first, *parts])


def _masked_part(mark: str, text: str) -> str:
    """A parameter of the query, or the fragment, masked; `mark` is the character before it."""
    name, equals, value = text.partition("=")
    if mark != "#" and (name.lower() in _PLAIN or (equals and not value) or not text):
        return mark + text
    return f"{mark}{name}={MASK}" if equals else mark + MASK
