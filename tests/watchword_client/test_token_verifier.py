from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from server.core.errors import ConfigurationError
from server.keys.key_material import SigningKey
from tests.clock import FakeClock
from tests.forging import (
    ALGORITHMS,
    AUDIENCE,
    CLAIMS,
    ISSUER,
    NOW,
    claims_with,
    forge,
    header_of,
    signing_key,
    verification_key,
)
from tests.volume import volume
from watchword_client.errors import KeysUnavailable, TokenExpired, TokenInvalid
from watchword_client.jwk import KeySet
from watchword_client.keys import VerificationKey
from watchword_client.token_checks import UnknownKey
from watchword_client.token_verifier import TokenVerifier

KEY = signing_key("ES256")
OTHER = signing_key("EdDSA")


class Source:
    """Keys that change when the test says so, and what was asked of them."""

    def __init__(self, *keys: SigningKey) -> None:
        self.keys = {key.kid: verification_key(key) for key in keys}
        self.coming: dict[str, VerificationKey] = {}
        self.current = True
        self.looked_up = 0
        self.kept_current = 0
        self.reloads = 0
        self.refuses_to_reload = False
        self.while_reloading: Callable[[], None] = lambda: None
        self.closed = False
        self._forget: list[Callable[[], None]] = []

    def verification_key(self, kid: str, now_ms: int) -> VerificationKey | None:
        assert now_ms > 0
        self.looked_up += 1
        return self.keys.get(kid)

    def is_current(self) -> bool:
        return self.current

    async def keep_current(self) -> None:
        self.kept_current += 1
        if not self.keys:
            raise KeysUnavailable

    async def reload(self) -> bool:
        self.reloads += 1
        if self.refuses_to_reload:
            return False
        self.keys |= self.coming
        self.while_reloading()
        return True

    def on_removal(self, forget: Callable[[], None]) -> None:
        self._forget.append(forget)

    def remove(self, key: SigningKey) -> None:
        del self.keys[key.kid]
        for forget in self._forget:
            forget()

    async def close(self) -> None:
        self.closed = True


@dataclass
class Scene:
    source: Source
    clock: FakeClock
    verifier: TokenVerifier


def scene(*keys: SigningKey, cache_size: int = 100) -> Scene:
    source, clock = Source(*keys), FakeClock()
    verifier = TokenVerifier(source, issuer=ISSUER, audience=AUDIENCE, cache_size=cache_size, clock=clock)
    return Scene(source, clock, verifier)


def token_of(key: SigningKey, **changes: object) -> str:
    return forge(key, header_of(key), claims_with(**changes))


TOKEN = token_of(KEY)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_token_is_verified_once_and_remembered(algorithm: str) -> None:
    here, token = scene(signing_key(algorithm)), token_of(signing_key(algorithm))
    assert here.verifier.remembered(token) is None
    assert await here.verifier.verify(token) == CLAIMS
    assert here.verifier.remembered(token) == CLAIMS
    assert await here.verifier.verify(token) == CLAIMS
    assert here.source.looked_up == 1


async def test_a_token_is_remembered_until_it_expires_and_no_millisecond_longer() -> None:
    here = scene(KEY)
    await here.verifier.verify(TOKEN)
    here.clock.advance(899.999)
    assert here.verifier.remembered(TOKEN) == CLAIMS
    assert await here.verifier.verify(TOKEN) == CLAIMS
    here.clock.advance(0.001)
    assert here.verifier.remembered(TOKEN) is None
    with pytest.raises(TokenExpired):
        await here.verifier.verify(TOKEN)


@pytest.mark.parametrize("claim", ["nbf", "iat"])
async def test_a_token_that_is_not_valid_yet_is_remembered_neither_as_good_nor_as_bad(claim: str) -> None:
    """RFC 7519 section 4.1.5. The clock may also be set back behind a moment at which the token was good."""
    here = scene(KEY)
    token = token_of(KEY, **{claim: NOW + 600})
    for _ in range(2):
        with pytest.raises(TokenInvalid):
            await here.verifier.verify(token)
        assert here.verifier.remembered(token) is None
    here.clock.advance(540)
    assert (await here.verifier.verify(token)).username == "lak"
    assert here.verifier.remembered(token) is not None
    here.clock.advance(-1)
    assert here.verifier.remembered(token) is None
    with pytest.raises(TokenInvalid):
        await here.verifier.verify(token)


async def test_what_is_refused_is_not_remembered() -> None:
    here = scene(KEY)
    forged = TOKEN[:-4] + ("AAAA" if TOKEN[-4:] != "AAAA" else "AAAQ")
    for token in (forged, "", "x", "x" * 10_000, token_of(KEY, exp=NOW), token_of(KEY, aud="other")):
        for _ in range(2):
            with pytest.raises((TokenInvalid, TokenExpired)):
                await here.verifier.verify(token)
            assert here.verifier.remembered(token) is None


async def test_all_are_forgotten_when_a_key_is_believed_no_more() -> None:
    here = scene(KEY, OTHER)
    await here.verifier.verify(TOKEN)
    await here.verifier.verify(token_of(OTHER))
    here.source.remove(KEY)
    assert here.verifier.remembered(TOKEN) is None
    assert here.verifier.remembered(token_of(OTHER)) is None
    with pytest.raises(UnknownKey):
        await here.verifier.verify(TOKEN)
    assert await here.verifier.verify(token_of(OTHER)) == CLAIMS


async def test_a_key_that_is_known_a_moment_later_is_found_by_one_reload() -> None:
    here = scene(KEY)
    here.source.coming = {OTHER.kid: verification_key(OTHER)}
    assert await here.verifier.verify(token_of(OTHER)) == CLAIMS
    assert here.source.reloads == 1
    assert await here.verifier.verify(token_of(OTHER)) == CLAIMS
    assert here.source.reloads == 1


async def test_a_key_that_nobody_knows_is_looked_for_once_and_the_token_refused() -> None:
    here = scene(KEY)
    with pytest.raises(UnknownKey) as caught:
        await here.verifier.verify(token_of(OTHER))
    assert caught.value.code == TokenInvalid.code
    assert here.source.reloads == 1


async def test_where_no_reload_is_due_the_token_is_refused_at_once() -> None:
    here = scene(KEY)
    here.source.refuses_to_reload = True
    here.source.coming = {OTHER.kid: verification_key(OTHER)}
    with pytest.raises(UnknownKey):
        await here.verifier.verify(token_of(OTHER))
    assert here.source.looked_up == 1


async def test_a_token_that_expires_during_the_reload_is_refused() -> None:
    here = scene(KEY)
    here.source.coming = {OTHER.kid: verification_key(OTHER)}
    here.source.while_reloading = lambda: here.clock.advance(2)
    with pytest.raises(TokenExpired):
        await here.verifier.verify(token_of(OTHER, exp=NOW + 1))


async def test_only_an_unknown_key_is_worth_a_reload() -> None:
    here = scene(KEY)
    for token in ("", "x", TOKEN[:-2], token_of(KEY, exp=NOW), token_of(KEY, iss="other")):
        with pytest.raises((TokenInvalid, TokenExpired)):
            await here.verifier.verify(token)
    assert here.source.reloads == 0


async def test_keys_are_kept_current_though_every_token_is_known() -> None:
    here = scene(KEY)
    await here.verifier.verify(TOKEN)
    here.source.kept_current, here.source.current = 0, False
    # Nothing is remembered then, so the question goes where the keys are renewed, and the answer is there at once.
    assert here.verifier.remembered(TOKEN) is None
    assert await here.verifier.verify(TOKEN) == CLAIMS
    assert (here.source.kept_current, here.source.looked_up) == (1, 1)


async def test_without_keys_nothing_is_known_of_a_token() -> None:
    here = scene()
    for token in (TOKEN, "x"):
        with pytest.raises(KeysUnavailable):
            await here.verifier.verify(token)


async def test_a_verifier_closes_its_keys() -> None:
    here = scene(KEY)
    async with here.verifier as verifier:
        assert await verifier.verify(TOKEN) == CLAIMS
        assert not here.source.closed
    assert here.source.closed


@pytest.mark.parametrize(("issuer", "audience"), [("", AUDIENCE), (ISSUER, ""), ("", "")])
def test_a_verifier_without_issuer_or_audience_is_not_made(issuer: str, audience: str) -> None:
    with pytest.raises(ConfigurationError, match="issuer and an audience"):
        TokenVerifier(Source(KEY), issuer=issuer, audience=audience)


@pytest.mark.parametrize("size", [0, -1])
async def test_a_verifier_may_remember_nothing(size: int) -> None:
    here = scene(KEY, cache_size=size)
    for _ in range(2):
        assert await here.verifier.verify(TOKEN) == CLAIMS
    assert here.source.looked_up == 2


async def test_memory_is_bounded() -> None:
    key = signing_key("HS256")
    here = scene(key, cache_size=50)
    tokens = [token_of(key, jti=str(place)) for place in range(500)]
    for token in tokens:
        await here.verifier.verify(token)
    known = [token for token in tokens if here.verifier.remembered(token)]
    assert known == tokens[-50:]
    assert len(here.verifier._verified) == 50


async def test_a_verifier_with_keys_at_hand_needs_no_clock() -> None:
    now = int(time.time())
    async with TokenVerifier(KeySet([verification_key(KEY)]), issuer=ISSUER, audience=AUDIENCE) as verifier:
        claims = await verifier.verify(token_of(KEY, iat=now, exp=now + 60))
        assert claims.expires_at == now + 60
        with pytest.raises(TokenExpired):
            await verifier.verify(token_of(KEY, iat=now - 60, exp=now))


Outcome = tuple[str, str, str] | type[Exception]


async def outcome(verifier: TokenVerifier, token: str) -> Outcome:
    """Whose claims a token gives, in the way a request takes; or why it is refused."""
    try:
        claims = verifier.remembered(token) or await verifier.verify(token)
    except (TokenInvalid, TokenExpired) as error:
        return type(error)
    return claims.username, claims.subject, claims.jti


async def test_of_a_hundred_thousand_mixed_requests_no_token_answers_for_another() -> None:
    """Good, expired and forged ones of two thousand users in any order, by a memory that is too small for all."""
    seed = random.Random(100_000)
    keys = [signing_key("HS256"), signing_key("HS256", 2), KEY, OTHER]
    here = scene(*keys, cache_size=700)
    expected: dict[str, Outcome] = {}
    good = ""
    for place in range(2000):
        # The faster ones mostly.
        key = keys[0] if place % 20 else seed.choice(keys)
        user = {"username": f"user {place}", "sub": f"subject {place}", "jti": f"token {place}"}
        match place % 4:
            case 0:
                good = token_of(key, **user)
                expected[good] = (user["username"], user["sub"], user["jti"])
            case 1:
                expected[token_of(key, **user, exp=NOW + 40)] = (user["username"], user["sub"], user["jti"])
            case 2:
                expected[token_of(key, **user, iat=NOW - 20, exp=NOW - 10)] = TokenExpired
            case _:
                # The good token three places before, with this user's claims in it.
                header, _, signature = good.split(".")
                _, claims, _ = token_of(key, **user).split(".")
                expected[f"{header}.{claims}.{signature}"] = TokenInvalid
    tokens = list(expected)
    count = volume(100_000)
    for place in range(count):
        if place == count // 2:
            here.clock.advance(60)
            expected |= dict.fromkeys(tokens[1::4], TokenExpired)
        # Mostly of some, so that the memory is of use.
        token = tokens[seed.randrange(400) if seed.random() < 0.7 else seed.randrange(2000)]
        assert await outcome(here.verifier, token) == expected[token]
    # The rest was remembered, or refused before a key was looked for.
    assert count / 5 < here.source.looked_up < count * 4 / 5
