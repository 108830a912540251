"""The address under which clients reach the server, as far as a setting says it."""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from server.doctor import keys
from server.doctor.model import Case, Finding, note, ok, warning, wrong
from server.health.asking import WAIT_SECONDS
from server.keys.repository import KeyRepository

TOPIC = "address"
_JWKS = "/.well-known/jwks.json"
_LONGEST_ANSWER = 1 << 20


async def address(case: Case, repository: KeyRepository | None) -> list[Finding]:
    """Whether the issuer, if it is a URL, leads here: then its JWKS has our keys. Raises StoreUnavailable."""
    issuer = case.settings.tokens.issuer
    if not issuer.startswith(("http://", "https://")):
        return [note(TOPIC, "no setting says under which address clients reach this server, so none was tried")]
    where = issuer.rstrip("/") + _JWKS
    try:
        published = await asyncio.to_thread(_published, where)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        text = f"{where} can't be fetched from here ({reason})"
        return [warning(TOPIC, text, "if clients can't either, look at name, proxy and firewall")]
    kids = frozenset() if repository is None else await keys.published(case, repository)
    if kids and not kids & published:
        return [
            wrong(
                TOPIC, f"{where} has none of the keys of this store", "another server answers there: look at the proxy"
            )
        ]
    return [ok(TOPIC, f"{where} has the keys of this store")]


def _published(url: str) -> frozenset[str]:
    """The names of the keys in a JWK Set. Raises OSError, HTTPException, ValueError."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=WAIT_SECONDS)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        text = answer.read(_LONGEST_ANSWER)
    finally:
        connection.close()
    if answer.status != 200:
        raise ValueError(f"the answer was {answer.status}")
    found: Any = json.loads(text)
    return frozenset(key["kid"] for key in found["keys"]) if isinstance(found, dict) else frozenset()
