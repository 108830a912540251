"""The keys of another Watchword, read from the URL of its JWK Set."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import traceback
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from itertools import count
from threading import Lock
from weakref import ref

import aiohttp
from aiohttp import hdrs
from yarl import URL

from watchword_client.clock import Clock, SystemClock
from watchword_client.errors import ConfigurationError, KeyRefused, KeysUnavailable
from watchword_client.jwk import KeySet
from watchword_client.keys import VerificationKey

MAXIMUM_BYTES = 262_144
TIMEOUT_SECONDS = 5.0
# How long a fetched set is current: as long as `Cache-Control` says, within these bounds, or else the default.
SHORTEST_AGE_SECONDS = 5
LONGEST_AGE_SECONDS = 3600
DEFAULT_AGE_SECONDS = 300
# The pause after a failed fetch, and after a fetch for a token with an unknown key.
COOL_DOWN_SECONDS = 5.0
# How long an old set stays in use while it is renewed, or after the renewal has failed. After that time callers wait
# for the new set.
GRACE_SECONDS = 60.0

# The log message. Its argument is one mapping, so tools that store arguments separately know their names.
_NOT_RENEWED = "the JWK Set was not renewed: %(url)s: %(reason)s"

_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=([0-9]{1,9})(?:$|[,\s])")
_NOT_TO_KEEP = re.compile(r"(?:^|[,\s])no-(?:store|cache)(?:$|[,\s])")
_SECONDS = re.compile(r"[0-9]{1,9}")
# White space and control characters: a URL parser would ignore them, or read them as part of a host.
_BLANK = re.compile(r"[\x00-\x20\x7f]")

_log = logging.getLogger(__name__)


class RemoteKeySet:
    """A JWK Set that is fetched, remembered, and fetched again when it is old or a token names an unknown key.

    If a fetch fails or brings keys that must not be used, the present keys stay in use. Event loops may share one
    RemoteKeySet, one after the other or in several threads. All of them use the fetched keys. Each loop runs at most
    one fetch at a time, and no connection stays open between fetches.
    """

    def __init__(
        self,
        url: str,
        *,
        session: aiohttp.ClientSession | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        cool_down_seconds: float = COOL_DOWN_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        """Raises ConfigurationError for a URL that is not http:// or https://.

        A `session` belongs to the caller and is not closed. It works only in its own event loop. In another loop, or
        after it was closed, an old set can't be renewed and is not used any more.
        """
        self._url = _checked(url)
        self._session = session
        self._session_loop: ref[asyncio.AbstractEventLoop] | None = None
        self._timeout_seconds = timeout_seconds
        self._cool_down_seconds = cool_down_seconds
        self._clock = clock or SystemClock()
        self._keys: KeySet | None = None
        self._fetching: dict[asyncio.AbstractEventLoop, asyncio.Task[bool]] = {}
        self._asked = count(1)
        self._taken = 0
        self._taking = Lock()
        self._serves_in: ref[asyncio.AbstractEventLoop] | None = None
        self._serves_until = -math.inf
        self._paused_until = -math.inf
        self._current_until = -math.inf
        self._forget: list[Callable[[], None]] = []

    def verification_key(self, kid: str, now_ms: int) -> VerificationKey | None:
        """The key of that name; None if the latest set does not have it."""
        return None if self._keys is None else self._keys.verification_key(kid, now_ms)

    def on_removal(self, forget: Callable[[], None]) -> None:
        """Register a function that is called when a new set lacks a key of the set before."""
        self._forget.append(forget)

    def is_current(self) -> bool:
        """Whether there is a set whose time is not over."""
        return self._keys is not None and self._clock.monotonic() < self._current_until

    async def keep_current(self) -> None:
        """Fetch a missing set, or renew an old one; the old set stays in use meanwhile. Raises KeysUnavailable."""
        if self.is_current():
            return
        self._start()
        if not self._serves_meanwhile():
            await self._wait()
        if self._keys is None or (self._session_is_lost() and not self.is_current()):
            raise KeysUnavailable(max(1, math.ceil(self._cool_down_seconds)))

    async def reload(self) -> bool:
        """Fetch now, or wait for a running fetch. False during the pause after an earlier fetch."""
        self._start(is_search=True)
        return await self._wait()

    async def close(self) -> None:
        """Cancel a running fetch of this event loop. A later call fetches again."""
        task = self._fetching.get(asyncio.get_running_loop())
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def _serves_meanwhile(self) -> bool:
        """Whether the old set stays in use until it is renewed.

        Only the event loop of the last fetch may use it. Loops that live for one call would never renew it.
        """
        here = self._serves_in is not None and self._serves_in() is asyncio.get_running_loop()
        return here and self._keys is not None and self._clock.monotonic() < self._serves_until

    def _serve_old(self, since: float) -> None:
        self._serves_in = ref(asyncio.get_running_loop())
        self._serves_until = since + GRACE_SECONDS

    def _session_is_lost(self) -> bool:
        if self._session is None:
            return False
        loop = self._session_loop
        return self._session.closed or (loop is not None and loop() is not asyncio.get_running_loop())

    def _start(self, *, is_search: bool = False) -> None:
        here = asyncio.get_running_loop()
        if here in self._fetching or self._clock.monotonic() < self._paused_until:
            return
        for loop in list(self._fetching):
            if loop.is_closed():
                # The loop was closed during a fetch, so that fetch never ends.
                self._fetching.pop(loop, None)
        task = self._fetching[here] = here.create_task(self._fetch())
        task.add_done_callback(partial(self._end, here, is_search))

    def _end(self, loop: asyncio.AbstractEventLoop, is_search: bool, fetch: asyncio.Task[bool]) -> None:
        self._fetching.pop(loop, None)
        if fetch.cancelled():
            # It may have been cancelled because its loop ends. This must not start a pause for other loops.
            return
        now = self._clock.monotonic()
        failed = not fetch.result()
        if failed:
            self._serve_old(now)
        if is_search or failed:
            self._paused_until = now + self._cool_down_seconds

    async def _wait(self) -> bool:
        """Wait for the running fetch; False if there is none."""
        task = self._fetching.get(asyncio.get_running_loop())
        if task is None:
            return False
        # `asyncio.wait` and not `await task`: a caller that is cancelled must not cancel the fetch of the others.
        await asyncio.wait([task])
        return True

    async def _fetch(self) -> bool:
        """Fetch the set. Returns whether there is a current set. Never raises; failures are logged."""
        number = next(self._asked)
        try:
            body, age_seconds = await self._get()
            self._take(KeySet.parse(body), age_seconds, number)
        except (aiohttp.ClientError, OSError, KeyRefused) as error:
            _log.warning(_NOT_RENEWED, {"url": _shown(self._url), "reason": _reason(error)})
        except Exception as error:  # noqa: BLE001 - a defect, or a closed session, must not end all renewal
            # No traceback: a log may show the local variables of its frames, and these include the whole URL.
            shown = {"url": _shown(self._url), "reason": _reason(error), "place": _place(error)}
            _log.error(_NOT_RENEWED + " at %(place)s", shown)
        else:
            return True
        return False

    def _take(self, keys: KeySet, age_seconds: int, number: int) -> None:
        with self._taking:
            if number < self._taken:
                # The answer to a later fetch, in another thread, has already arrived.
                return
            self._taken = number
            replaced, self._keys = self._keys, keys
            self._current_until = self._clock.monotonic() + age_seconds
            self._serve_old(self._current_until)
            if replaced is not None and not keys.keeps(replaced):
                for forget in self._forget:
                    forget()

    async def _get(self) -> tuple[bytes, int]:
        """The body and for how long it is current. Raises ClientError, OSError, KeyRefused."""
        async with AsyncExitStack() as stack:
            session = self._session
            if session is None:
                session = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
            elif self._session_loop is None:
                self._session_loop = ref(asyncio.get_running_loop())
            elif self._session_is_lost() and not session.closed:
                raise KeyRefused("the session that was handed over belongs to another event loop")
            return await self._body(session)

    async def _body(self, session: aiohttp.ClientSession) -> tuple[bytes, int]:
        async with session.get(
            self._url,
            # A redirect could lead anywhere. The size of a compressed answer is not known before it is unpacked.
            allow_redirects=False,
            headers={hdrs.ACCEPT: "application/jwk-set+json, application/json", hdrs.ACCEPT_ENCODING: "identity"},
            timeout=aiohttp.ClientTimeout(total=self._timeout_seconds),
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
            return bytes(body), _age_seconds(response.headers)


def _checked(text: str) -> URL:
    try:
        url = URL(text) if not _BLANK.search(text) else URL()
        # This raises for a host that no resolver accepts: a label is empty or has more than 63 characters.
        (url.raw_host or "").encode("idna")
    except (ValueError, TypeError):
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigurationError(["the URL of a JWK Set is http:// or https:// with a host; no other is opened"])
    return url


def _age_seconds(headers: Mapping[str, str]) -> int:
    """How long the answer may be kept (RFC 9111 sections 4.2 and 5.2.2), less the time it spent in other caches."""
    control = headers.get(hdrs.CACHE_CONTROL, "").lower()
    found = _MAX_AGE.search(control)
    age = int(found[1]) if found else DEFAULT_AGE_SECONDS
    spent = headers.get(hdrs.AGE, "")
    if _SECONDS.fullmatch(spent):
        age -= int(spent)
    if _NOT_TO_KEEP.search(control):
        age = 0
    return min(max(age, SHORTEST_AGE_SECONDS), LONGEST_AGE_SECONDS)


def _shown(url: URL) -> str:
    """The URL for the log, without parts that may be secret."""
    return str(url.with_user(None).with_query(None).with_fragment(None))


def _reason(error: Exception) -> str:
    """The reason for the log. The text of a ClientError may quote the answer, and any error may quote the URL."""
    told = str(error) if isinstance(error, KeyRefused | OSError) else ""
    return told if told and "://" not in told else type(error).__name__


def _place(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"
