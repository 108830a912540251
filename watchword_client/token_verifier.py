"""Verifies tokens and remembers them, for this server and for other services."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Self

from watchword_client.cache import VerifiedTokens
from watchword_client.claims import AccessClaims
from watchword_client.clock import Clock, SystemClock
from watchword_client.errors import ConfigurationError
from watchword_client.token_checks import TokenChecks, UnknownKey, VerificationKeys

CACHE_SIZE = 100_000


class KeySource(VerificationKeys, Protocol):
    """A source of keys, which may change."""

    def is_current(self) -> bool:
        """Whether `keep_current` has nothing to do, which is usual."""
        ...

    async def keep_current(self) -> None:
        """Renew the keys if necessary. It is called before keys are used. Raises KeysUnavailable."""
        ...

    async def reload(self) -> bool:
        """Look for new keys; False if this was done a moment ago."""
        ...

    def on_removal(self, forget: Callable[[], None]) -> None:
        """Register a function that is called when a key is no longer accepted."""
        ...

    async def close(self) -> None:
        """Close open connections."""
        ...


class TokenVerifier:
    """Checks access tokens against keys from anywhere: a KeySet, or the JWKS URL of a Watchword (RemoteKeySet).

    A verified token is remembered until its `exp`, or until a key is no longer accepted. Another service does not learn
    of logouts, so it accepts a token until the token expires.
    """

    def __init__(
        self,
        keys: KeySource,
        *,
        issuer: str,
        audience: str,
        cache_size: int = CACHE_SIZE,
        clock: Clock | None = None,
    ) -> None:
        """`issuer` and `audience` are settings of the Watchword server. Raises ConfigurationError if one is empty."""
        if not issuer or not audience:
            raise ConfigurationError(["a verifier takes an issuer and an audience; tokens for others must not pass"])
        self._keys = keys
        self._clock = clock or SystemClock()
        self._cache_size = cache_size
        self._verified = VerifiedTokens(cache_size)
        self.checks = TokenChecks(keys, issuer=issuer, audience=audience)
        keys.on_removal(self.forget)

    def remembered(self, token: str) -> AccessClaims | None:
        """The claims of a remembered token, or None if the caller has to use `verify`. This is one look-up."""
        if not self._keys.is_current():
            # `verify` renews the keys. Without it a removed key would not be noticed while all tokens are remembered.
            return None
        return self._verified.get(token, self._clock.now_ms())

    async def verify(self, token: str) -> AccessClaims:
        """The claims. Raises TokenInvalid, TokenExpired; KeysUnavailable if no keys could be fetched yet."""
        await self._keys.keep_current()
        now = self._clock.now_ms()
        claims = self._verified.get(token, now)
        if claims is not None:
            return claims
        try:
            return self._verify(token, now)
        except UnknownKey:
            # The issuer may have begun to sign with a new key.
            if not await self._keys.reload():
                raise
        return self._verify(token, self._clock.now_ms())

    def _verify(self, token: str, now_ms: int) -> AccessClaims:
        # If another thread removes the key meanwhile, it replaces this object, and nobody reads the old one.
        verified = self._verified
        claims = self.checks.verify(token, now_ms)
        verified.add(token, claims, now_ms)
        return claims

    def forget(self) -> None:
        """Forget the verified tokens. Each is verified again when it comes the next time."""
        self._verified = VerifiedTokens(self._cache_size)

    async def close(self) -> None:
        """Close the source of the keys."""
        await self._keys.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
