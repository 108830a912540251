"""Keys rotate under load, on a clock that runs as fast as the test wants."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace

from pydantic import SecretStr

from server.keys.key_material import SigningKey
from server.keys.keyring import LEEWAY_MS
from server.keys.signer import Signer
from server.settings.tree import KeySettings, TokenSettings
from tests.running import MASTER_KEY, Api, StartApi
from tests.volume import IS_FULL

TTL_SECONDS = 4
ROTATE_EACH_SECONDS = 3
STEPS = 90
CLIENTS = 8 if IS_FULL else 4
KEYS = KeySettings(master_key=(SecretStr(MASTER_KEY),), jwks_max_age_seconds=1)


@dataclass
class Held:
    """A token as a client holds it."""

    token: str
    expires_at_ms: int


class OneKey:
    """Signs with a key that is not asked for any more."""

    def __init__(self, key: SigningKey) -> None:
        self.key = key

    def signing_key(self) -> SigningKey:
        return self.key


async def status(api: Api, token: str) -> int:
    async with await api.request("GET", "/verify", token) as response:
        return response.status


class Clients:
    """They refresh at one node, and show all that they hold to any."""

    def __init__(self, nodes: list[Api], refresh_tokens: list[str]) -> None:
        self._nodes = nodes
        self._chance = random.Random(7)
        self._refresh_tokens = refresh_tokens
        self._held: list[Held] = []
        self.misjudged: list[tuple[Held, int]] = []

    async def play(self, number: int) -> None:
        node = self._chance.choice(self._nodes)
        body = {"refresh_token": self._refresh_tokens[number]}
        async with await node.request("POST", "/refresh", json=body) as answer:
            tokens = await answer.json()
        self._refresh_tokens[number] = tokens["refresh_token"]
        issued_at = node.clock.now_ms() // 1000
        self._held.append(Held(tokens["token"], (issued_at + tokens["expires_in"]) * 1000))
        for one in self._chance.sample(self._held, min(len(self._held), 6)):
            other = self._chance.choice(self._nodes)
            good = one.expires_at_ms > other.clock.now_ms()
            if (await status(other, one.token) == 204) is not good:
                self.misjudged.append((one, other.clock.now_ms()))


def note_keys(node: Api, signed_by: dict[str, tuple[SigningKey, int | None]]) -> None:
    """Keep what signs, with the end of its time as far as that is known."""
    ring, now = node.services.keys.current.keyring, node.clock.now_ms()
    for record in ring.records:
        if record.activates_at <= now:
            key, _ = signed_by.get(record.kid) or (node.services.keys.current._custody.signing_key(record), None)
            signed_by[record.kid] = (key, ring.accepted_until(record))


async def test_while_keys_rotate_no_good_token_is_refused_and_no_retired_key_is_believed_for_too_long(
    start_api: StartApi, store_url: str
) -> None:
    """Every 3 seconds another key, tokens of 4 seconds, several clients at once; with PostgreSQL on two nodes."""
    tokens = TokenSettings(access_ttl_seconds=TTL_SECONDS)
    nodes = [await start_api(keys=KEYS, tokens=tokens) for _ in range(1 if store_url.startswith("sqlite") else 2)]
    clients = Clients(nodes, [(await nodes[0].log_in("lak"))["refresh_token"] for _ in range(CLIENTS)])
    signed_by: dict[str, tuple[SigningKey, int | None]] = {}
    for step in range(STEPS):
        if step % ROTATE_EACH_SECONDS == 0:
            await nodes[step % len(nodes)].services.keys.rotate(at_once=False)
        for node in nodes:
            await node.services.keys.current.refresh()
            if step % 10 == 0:
                await node.services.keys.maintain(steady=True)
        note_keys(nodes[0], signed_by)
        await asyncio.gather(*(clients.play(number) for number in range(CLIENTS)))
        for node in nodes:
            node.clock.advance(1)
    assert clients.misjudged == []
    assert len(signed_by) >= STEPS // ROTATE_EACH_SECONDS
    await assert_none_is_believed_for_too_long(nodes, signed_by)


async def assert_none_is_believed_for_too_long(
    nodes: list[Api], signed_by: dict[str, tuple[SigningKey, int | None]]
) -> None:
    """Tokens that say they live for ever, signed with each of the keys: the key's time decides."""
    now = nodes[0].clock.now_ms()
    claims = nodes[0].services.verifier.checks.verify(await nodes[0].token("lak"), now)
    lasting = replace(claims, expires_at=claims.expires_at + 80_000)
    judged, shown = set(), []
    for key, until in signed_by.values():
        token = Signer(OneKey(key)).sign(lasting)
        shown.append((token, until))
        for node in nodes:
            # The clock of the second node is a second behind.
            believed = until is None or until > node.clock.now_ms()
            judged.add(believed)
            assert await status(node, token) == (204 if believed else 401), (key.kid, until)
    assert judged == {True, False}
    # What was shown before is remembered, and not for longer either.
    for node in nodes:
        node.clock.advance(ROTATE_EACH_SECONDS + TTL_SECONDS + LEEWAY_MS / 1000)
        await node.services.keys.current.refresh()
    for token, until in shown:
        for node in nodes:
            believed = until is None or until > node.clock.now_ms()
            assert await status(node, token) == (204 if believed else 401), until


async def test_the_jwks_has_an_etag_and_may_be_cached_for_less_than_a_key_is_published_ahead(api: Api) -> None:
    async with await api.request("GET", "/.well-known/jwks.json") as first:
        body, etag = await first.read(), first.headers["ETag"]
        assert first.headers["Cache-Control"] == "public, max-age=300"
        assert len((await first.json(content_type="application/jwk-set+json"))["keys"]) == 2
    for sent, expected in (
        (etag, 304),
        (f'"x", {etag}', 304),
        (f"W/{etag}", 304),
        ("*", 304),
        ('"x"', 200),
        ("x", 200),
    ):
        async with await api.request("GET", "/.well-known/jwks.json", headers={"If-None-Match": sent}) as again:
            assert (again.status, again.headers["ETag"]) == (expected, etag)
            assert await again.read() == (body if expected == 200 else b"")
    await api.services.keys.rotate(at_once=True)
    async with await api.request("GET", "/.well-known/jwks.json", headers={"If-None-Match": etag}) as changed:
        assert changed.status == 200
        assert changed.headers["ETag"] != etag


async def test_a_token_that_was_verified_before_is_refused_when_its_key_is_revoked(api: Api) -> None:
    token = await api.token("lak")
    assert await status(api, token) == 204
    await api.services.keys.revoke(api.services.keys.current.signing_key().kid)
    async with await api.request("GET", "/verify", token) as response:
        await api.problem(response, 401, "token_invalid")
    assert await status(api, await api.token("lak")) == 204
