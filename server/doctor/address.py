"""The addresses under which clients reach the server: `server.public_url`, and an issuer that is a URL."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar
from urllib.parse import urlsplit

from server.doctor import keys
from server.doctor.model import Case, Finding, note, ok, warning, wrong
from server.health.asking import WAIT_SECONDS
from server.keys.repository import KeyRepository

TOPIC = "address"
_JWKS = "/.well-known/jwks.json"
_LONGEST_ANSWER = 1 << 20
_DAY_MS = 86_400_000
# Certificates of Let's Encrypt are renewed 30 days before their end.
_FEW_DAYS = 14

Result = TypeVar("Result")


async def address(case: Case, repository: KeyRepository | None) -> list[Finding]:
    """Whether the address leads here: then its JWKS has our keys. Raises StoreUnavailable."""
    public_url, issuer = case.settings.server.public_url, case.settings.tokens.issuer
    # Other services look for the keys below the issuer (docs/verifying.md), so it has to lead here too.
    urls = [public_url] if public_url else []
    if issuer.startswith(("http://", "https://")) and issuer.rstrip("/") != public_url:
        urls.append(issuer.rstrip("/"))
    findings = [await _reached(url, case, repository) for url in urls]
    if not public_url:
        findings.append(_without_public_url(case))
    return findings


def _without_public_url(case: Case) -> Finding:
    server = case.settings.server
    where = server.public_origin() or "the port that the server picks at its start"
    text = f"server.public_url is not set, so links lead to {where}"
    if server.is_loopback:
        return note(TOPIC, f"{text}, which only browsers on this machine reach", "behind a proxy, set it")
    return warning(TOPIC, text, "set it to the https:// address that browsers reach; without TLS they keep no session")


async def _reached(url: str, case: Case, repository: KeyRepository | None) -> Finding:
    where = url + _JWKS
    try:
        published, certified_until = await _in_time(lambda: _published(where))
    except ssl.SSLCertVerificationError as error:
        text = f"{where} can't be fetched from here: its certificate is refused ({error.verify_message})"
        return warning(TOPIC, text, "browsers refuse it too, unless they know who signed it; get one for this name")
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "no answer in time"
        text = f"{where} can't be fetched from here ({reason})"
        return warning(TOPIC, text, "if clients can't either, look at name, proxy and firewall")
    kids = frozenset() if repository is None else await keys.published(case, repository)
    if kids and not kids & published:
        return wrong(
            TOPIC, f"{where} has none of the keys of this store", "another server answers there: look at the proxy"
        )
    text = f"{where} has the keys of this store"
    if certified_until is None:
        return ok(TOPIC, text)
    days = (certified_until - case.clock.now_ms()) // _DAY_MS
    text += f", and a certificate for {days} more days"
    return ok(TOPIC, text) if days >= _FEW_DAYS else warning(TOPIC, text, "renew it, and see why nothing else has")


async def _in_time(work: Callable[[], Result]) -> Result:
    """What `work` returns. Raises TimeoutError, since a name server may take longer than any limit of a connection."""
    found: Future[Result] = Future()

    def run() -> None:
        found.set_running_or_notify_cancel()
        try:
            found.set_result(work())
        except Exception as error:  # noqa: BLE001 - it is raised where the result is awaited
            found.set_exception(error)

    # Not in a pool, whose threads would be waited for at the end of the command.
    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wait_for(asyncio.wrap_future(found), WAIT_SECONDS)


def _published(url: str) -> tuple[frozenset[str], int | None]:
    """The names of the keys in a JWK Set, and the end of the certificate. Raises OSError, HTTPException, ValueError."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=WAIT_SECONDS)
    try:
        connection.connect()
        until = _certified_until(connection.sock)
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        text = answer.read(_LONGEST_ANSWER)
    finally:
        connection.close()
    if answer.status != 200:
        raise ValueError(f"the answer was {answer.status}")
    found: Any = json.loads(text)
    return (frozenset(key["kid"] for key in found["keys"]) if isinstance(found, dict) else frozenset()), until


def _certified_until(connected: Any) -> int | None:
    """When the certificate of the connection ends, in epoch milliseconds; None without TLS."""
    if not isinstance(connected, ssl.SSLSocket):
        return None
    until = (connected.getpeercert() or {}).get("notAfter")
    return ssl.cert_time_to_seconds(until) * 1000 if isinstance(until, str) else None
