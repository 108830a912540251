"""The keys of a Watchword that runs elsewhere, by the URL of its JWK Set."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Final

import aiohttp
import structlog
from aiohttp import hdrs
from yarl import URL

from server.clock import Clock, SystemClock
from server.errors import ConfigurationError, KeyRefused, KeysUnavailable
from server.tokens.jwk import KeySet
from server.tokens.keys import VerificationKey

MAXIMUM_BYTES: Final = 262_144
TIMEOUT_SECONDS = 5.0
# For how long a fetched set is current: what `Cache-Control` says, within these bounds, or the default.
SHORTEST_AGE_SECONDS = 5
LONGEST_AGE_SECONDS = 3600
DEFAULT_AGE_SECONDS = 300
# An unknown key makes the set be fetched again, at most so often; and so does a failure.
COOL_DOWN_SECONDS = 5.0

_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=(\d{1,9})(?:$|[,\s])")

_log = structlog.get_logger("watchword.jwks")


class RemoteKeySet:
    """A JWK Set that is fetched, remembered, and fetched again when it is old or a token names an unknown key.

    One fetch is under way at a time. A fetch that fails, or brings keys that are not fit, leaves what is there in use.
    """

    def __init__(
        self,
        url: str,
        *,
        session: aiohttp.ClientSession | None = None,
        cool_down_seconds: float = COOL_DOWN_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        """Raises ConfigurationError for a URL that is not http:// or https://. A `session` of the caller stays open."""
        self._url = _checked(url)
        self._session = session
        self._owns_session = session is None
        self._cool_down_seconds = cool_down_seconds
        self._clock = clock or SystemClock()
        self._keys: KeySet | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._tried_at: float | None = None
        self._current_until = 0.0
        self._forget: list[Callable[[], None]] = []

    def verification_key(self, kid: str, now_ms: int) -> VerificationKey | None:
        """The key of that name, if the last set that came had it."""
        return None if self._keys is None else self._keys.verification_key(kid, now_ms)

    def on_removal(self, forget: Callable[[], None]) -> None:
        """Have `forget` called when a fetched set lacks a key that was there."""
        self._forget.append(forget)

    async def keep_current(self) -> None:
        """Fetch what is not there; renew what is old, while it goes on serving. Raises KeysUnavailable."""
        if self._keys is None:
            if not await self.reload() or self._keys is None:
                raise KeysUnavailable(max(1, round(self._cool_down_seconds)))
        elif self._clock.monotonic() >= self._current_until and not self._cooling():
            self._start()

    async def reload(self) -> bool:
        """Fetch now, or wait for the fetch under way; False if the last one was a moment ago."""
        if self._fetching is None:
            if self._cooling():
                return False
            self._start()
        if self._fetching is not None:
            # The fetch goes on for the others when this caller leaves.
            await asyncio.shield(self._fetching)
        return True

    async def close(self) -> None:
        """End a fetch under way and the session, if it is ours."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])
        if self._session is not None and self._owns_session:
            await self._session.close()
            self._session = None

    def _cooling(self) -> bool:
        return self._tried_at is not None and self._clock.monotonic() - self._tried_at < self._cool_down_seconds

    def _start(self) -> None:
        if self._fetching is None:
            self._tried_at = self._clock.monotonic()
            self._fetching = asyncio.create_task(self._fetch())
            self._fetching.add_done_callback(self._fetched)

    def _fetched(self, _: asyncio.Task[None]) -> None:
        self._fetching = None

    async def _fetch(self) -> None:
        """Never raises: what goes wrong is a line in the log."""
        try:
            body, age_seconds = await self._get()
            keys = _not_empty(KeySet.parse(body))
        except (aiohttp.ClientError, OSError, TimeoutError, KeyRefused) as error:
            _log.warning("the JWK Set was not renewed", url=str(self._url), reason=str(error) or type(error).__name__)
            return
        gone = self._keys is not None and not self._keys.kids() <= keys.kids()
        self._keys = keys
        self._current_until = self._clock.monotonic() + age_seconds
        if gone:
            for forget in self._forget:
                forget()

    async def _get(self) -> tuple[bytes, int]:
        """The body and for how long it is current. Raises ClientError, OSError, KeyRefused."""
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        async with self._session.get(
            self._url,
            # A redirect could lead anywhere; and what is compressed can't be measured before it is unpacked.
            allow_redirects=False,
            headers={hdrs.ACCEPT: "application/jwk-set+json, application/json", hdrs.ACCEPT_ENCODING: "identity"},
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
        ) as response:
            if response.status != 200:
                raise KeyRefused(f"the answer was {response.status}")
            if hdrs.CONTENT_ENCODING in response.headers:
                raise KeyRefused("the answer is compressed")
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > MAXIMUM_BYTES:
                    raise KeyRefused(f"the answer is longer than {MAXIMUM_BYTES} bytes")
            return bytes(body), _age_seconds(response.headers.get(hdrs.CACHE_CONTROL, ""))


def _not_empty(keys: KeySet) -> KeySet:
    if not keys.kids():
        raise KeyRefused("the set has no key that could verify a token")
    return keys


def _checked(text: str) -> URL:
    try:
        url = URL(text)
    except (ValueError, TypeError):
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigurationError(["the URL of a JWK Set is http:// or https:// with a host; no other is opened"])
    return url


def _age_seconds(cache_control: str) -> int:
    found = _MAX_AGE.search(cache_control.lower())
    age = int(found[1]) if found else DEFAULT_AGE_SECONDS
    return min(max(age, SHORTEST_AGE_SECONDS), LONGEST_AGE_SECONDS)
