from __future__ import annotations

import asyncio
import io
import logging
import random
import traceback
from typing import Any

import aiohttp
import pytest
import structlog

from server.core.errors import ConfigurationError
from server.keys.key_material import SigningKey
from tests.clock import START_MS
from tests.forging import CLAIMS, base64url, claims_with, forge, header_of, signing_key, verification_key
from tests.publisher import Publisher, settled
from tests.watchword_client.logs import logged, told
from watchword_client.errors import KeysUnavailable, TokenInvalid
from watchword_client.remote import RemoteKeySet

OLD = signing_key("ES256")
NEW = signing_key("EdDSA")


# Each once, since ECDSA makes another signature each time.
TOKENS = {key.kid: forge(key, header_of(key), claims_with()) for key in (OLD, NEW)}


def token_of(key: SigningKey) -> str:
    return TOKENS[key.kid]


def unknown(number: int) -> str:
    """A token of a key that nobody has; nothing else is wrong with it as far as can be seen without that key."""
    header = f'{{"typ":"at+jwt","alg":"ES256","kid":"unknown {number}"}}'
    return f"{base64url(header.encode())}.e30.AAAA"


def known(keys: RemoteKeySet) -> set[str]:
    return {key.kid for key in (OLD, NEW) if keys.verification_key(key.kid, START_MS) is not None}


async def test_nothing_is_fetched_before_it_is_needed(publisher: Publisher) -> None:
    keys = publisher.remote()
    assert not keys.is_current()
    assert known(keys) == set()
    await keys.close()
    assert publisher.fetches == 0


async def test_many_first_uses_at_once_make_one_fetch(publisher: Publisher) -> None:
    verifier = publisher.verifier()
    claims = await asyncio.gather(*(verifier.verify(token_of(OLD)) for _ in range(300)))
    assert claims == [CLAIMS] * 300
    assert publisher.fetches == 1


async def test_the_request_asks_for_keys_and_tells_nothing(publisher: Publisher) -> None:
    publisher.headers = {"Set-Cookie": "a=b; Path=/"}
    keys = publisher.remote()
    await keys.keep_current()
    publisher.clock.advance(1000)
    await keys.reload()
    assert publisher.fetches == 2
    for request in publisher.requests:
        assert request.headers["Accept"] == "application/jwk-set+json, application/json"
        assert request.headers["Accept-Encoding"] == "identity"
        assert request.headers.keys().isdisjoint({"Cookie", "Authorization"})


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Cache-Control": "max-age=60"}, 60),
        ({"Cache-Control": "public, Max-Age=300, must-revalidate"}, 300),
        ({"Cache-Control": "max-age=0"}, 5),
        ({"Cache-Control": "max-age=86400"}, 3600),
        ({"Cache-Control": "s-maxage=60"}, 300),
        ({"Cache-Control": "max-age=-1"}, 300),
        ({"Cache-Control": "max-age=x"}, 300),
        ({"Cache-Control": "max-age=" + "9" * 5000}, 300),
        ({"Cache-Control": "no-store"}, 5),
        ({"Cache-Control": "no-cache, max-age=60"}, 5),
        ({"Cache-Control": ""}, 300),
        ({}, 300),
        ({"Cache-Control": "max-age=60", "Age": "20"}, 40),
        ({"Cache-Control": "max-age=60", "Age": "600"}, 5),
        ({"Cache-Control": "max-age=60", "Age": "-20"}, 60),
        ({"Cache-Control": "max-age=60", "Age": "x"}, 60),
    ],
    ids=str,
)
async def test_a_set_is_current_for_as_long_as_it_says_within_bounds(
    publisher: Publisher, headers: dict[str, str], seconds: int
) -> None:
    publisher.headers = headers
    keys = publisher.remote()
    await keys.keep_current()
    publisher.clock.advance(seconds - 0.001)
    assert keys.is_current()
    await keys.keep_current()
    await settled(keys)
    assert publisher.fetches == 1
    publisher.clock.advance(0.001)
    assert not keys.is_current()
    await keys.keep_current()
    await settled(keys)
    assert publisher.fetches == 2
    assert keys.is_current()


async def test_an_old_set_is_renewed_in_the_background_and_serves_meanwhile(publisher: Publisher) -> None:
    keys = publisher.remote()
    verifier = publisher.verifier(keys)
    await verifier.verify(token_of(OLD))
    publisher.clock.advance(300)
    publisher.gate.clear()
    publisher.publish(OLD, NEW)
    # Nobody waits, whether the token is known or not.
    assert await verifier.verify(token_of(OLD)) == CLAIMS
    other = forge(OLD, header_of(OLD), claims_with(jti="another"))
    assert (await verifier.verify(other)).jti == "another"
    assert known(keys) == {OLD.kid}
    publisher.gate.set()
    await settled(keys)
    assert known(keys) == {OLD.kid, NEW.kid}
    assert publisher.fetches == 2


async def test_one_fetch_is_under_way_at_a_time(publisher: Publisher) -> None:
    keys = publisher.remote()
    await keys.keep_current()
    publisher.clock.advance(300)
    publisher.gate.clear()
    for _ in range(50):
        await keys.keep_current()
    waiting = [asyncio.create_task(keys.reload()) for _ in range(50)]
    publisher.clock.advance(59)
    for _ in range(50):
        await keys.keep_current()
    publisher.gate.set()
    assert all(await asyncio.gather(*waiting))
    assert (publisher.fetches, publisher.most_at_once) == (2, 1)


async def test_a_key_that_was_not_known_is_fetched_at_once(publisher: Publisher) -> None:
    verifier = publisher.verifier()
    await verifier.verify(token_of(OLD))
    publisher.publish(OLD, NEW)
    claims = await asyncio.gather(*(verifier.verify(token_of(NEW)) for _ in range(100)))
    assert claims == [CLAIMS] * 100
    assert publisher.fetches == 2


async def test_there_is_a_pause_after_a_key_was_looked_for(publisher: Publisher) -> None:
    keys = publisher.remote()
    verifier = publisher.verifier(keys)
    publisher.headers = {"Cache-Control": "max-age=3600"}
    with pytest.raises(TokenInvalid):
        await verifier.verify(unknown(1))
    publisher.publish(OLD, NEW)
    publisher.clock.advance(4.999)
    with pytest.raises(TokenInvalid):
        await verifier.verify(token_of(NEW))
    assert publisher.fetches == 2
    publisher.clock.advance(0.001)
    assert await verifier.verify(token_of(NEW)) == CLAIMS
    assert publisher.fetches == 3


async def test_a_renewal_causes_no_pause(publisher: Publisher) -> None:
    keys = publisher.remote()
    verifier = publisher.verifier(keys)
    await verifier.verify(token_of(OLD))
    publisher.clock.advance(300)
    await verifier.verify(token_of(OLD))
    await settled(keys)
    publisher.publish(OLD, NEW)
    assert await verifier.verify(token_of(NEW)) == CLAIMS
    assert publisher.fetches == 3


async def test_ten_thousand_tokens_of_unknown_keys_make_few_fetches(publisher: Publisher) -> None:
    seed = random.Random(10_000)
    verifier = publisher.verifier()
    await verifier.verify(token_of(OLD))
    refused = 0
    for place in range(100):
        results = await asyncio.gather(
            *(verifier.verify(unknown(100 * place + number)) for number in range(100)),
            verifier.verify(token_of(OLD)),
            return_exceptions=True,
        )
        assert results.pop() == CLAIMS
        refused += sum(isinstance(result, TokenInvalid) for result in results)
        publisher.clock.advance(seed.random())
    assert refused == 10_000
    # Over some fifty seconds, with five between two.
    assert 5 <= publisher.fetches <= 12
    assert publisher.most_at_once == 1


async def test_there_is_a_pause_after_a_failure_too_from_its_end_on(publisher: Publisher) -> None:
    publisher.status = 500
    keys = publisher.remote(cool_down_seconds=7.5)
    publisher.gate.clear()
    waiting = asyncio.create_task(keys.keep_current())
    await publisher.arrived.wait()
    publisher.clock.advance(100)
    publisher.gate.set()
    with pytest.raises(KeysUnavailable) as caught:
        await waiting
    assert caught.value.headers() == {"Retry-After": "8"}
    publisher.status = 200
    for _ in range(100):
        with pytest.raises(KeysUnavailable):
            await keys.keep_current()
        assert not await keys.reload()
    assert publisher.fetches == 1
    publisher.clock.advance(7.499)
    with pytest.raises(KeysUnavailable):
        await keys.keep_current()
    publisher.clock.advance(0.001)
    await keys.keep_current()
    assert known(keys) == {OLD.kid}
    assert publisher.fetches == 2


async def test_while_there_are_no_keys_each_waiting_request_is_told_so(publisher: Publisher) -> None:
    publisher.status = 503
    verifier = publisher.verifier()
    results = await asyncio.gather(*(verifier.verify(token_of(OLD)) for _ in range(50)), return_exceptions=True)
    assert {type(result) for result in results} == {KeysUnavailable}
    assert publisher.fetches == 1


async def test_a_key_that_went_makes_a_verifier_forget(publisher: Publisher) -> None:
    keys = publisher.remote()
    verifier = publisher.verifier(keys)
    publisher.publish(OLD, NEW)
    await verifier.verify(token_of(OLD))
    await verifier.verify(token_of(NEW))
    publisher.publish(NEW)
    publisher.clock.advance(300)
    assert await verifier.verify(token_of(NEW)) == CLAIMS
    await settled(keys)
    assert verifier.remembered(token_of(NEW)) is None
    assert verifier.remembered(token_of(OLD)) is None
    with pytest.raises(TokenInvalid):
        await verifier.verify(token_of(OLD))
    assert await verifier.verify(token_of(NEW)) == CLAIMS


async def test_another_key_under_the_same_name_makes_a_verifier_forget(publisher: Publisher) -> None:
    keys = publisher.remote()
    verifier = publisher.verifier(keys)
    publisher.publish(OLD)
    await verifier.verify(token_of(OLD))
    publisher.publish(signing_key("ES256", 2), kid=OLD.kid)
    publisher.clock.advance(300)
    await verifier.verify(token_of(OLD))
    await settled(keys)
    with pytest.raises(TokenInvalid):
        await verifier.verify(token_of(OLD))


async def test_a_key_that_comes_makes_nobody_forget(publisher: Publisher) -> None:
    keys = publisher.remote()
    verifier = publisher.verifier(keys)
    await verifier.verify(token_of(OLD))
    publisher.publish(NEW, OLD)
    publisher.clock.advance(300)
    await keys.reload()
    assert known(keys) == {OLD.kid, NEW.kid}
    assert verifier.remembered(token_of(OLD)) == CLAIMS


async def test_whoever_leaves_early_takes_the_fetch_from_nobody(publisher: Publisher) -> None:
    verifier = publisher.verifier()
    publisher.gate.clear()
    staying = [asyncio.create_task(verifier.verify(token_of(OLD))) for _ in range(3)]
    leaving = [asyncio.create_task(verifier.verify(token_of(OLD))) for _ in range(3)]
    await publisher.arrived.wait()
    for task in leaving:
        task.cancel()
    assert {type(result) for result in await asyncio.gather(*leaving, return_exceptions=True)} == {
        asyncio.CancelledError
    }
    publisher.gate.set()
    assert await asyncio.gather(*staying) == [CLAIMS] * 3
    assert publisher.fetches == 1


async def test_a_fetch_goes_on_when_all_who_waited_have_left(publisher: Publisher) -> None:
    keys = publisher.remote()
    publisher.gate.clear()
    leaving = asyncio.create_task(keys.keep_current())
    await publisher.arrived.wait()
    leaving.cancel()
    await asyncio.wait([leaving])
    publisher.gate.set()
    await settled(keys)
    assert known(keys) == {OLD.kid}


async def test_closing_ends_a_fetch_and_those_who_wait_are_told(publisher: Publisher) -> None:
    keys = publisher.remote()
    publisher.gate.clear()
    waiting = [asyncio.create_task(keys.keep_current()) for _ in range(3)]
    await publisher.arrived.wait()
    await keys.close()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(result) for result in results} == {KeysUnavailable}


async def test_after_closing_nothing_is_open_and_a_later_use_fetches_again(publisher: Publisher) -> None:
    keys = publisher.remote()
    verifier = publisher.verifier(keys)
    await verifier.verify(token_of(OLD))
    await verifier.close()
    await verifier.close()
    assert await verifier.verify(token_of(OLD)) == CLAIMS
    assert publisher.fetches == 1
    publisher.publish(NEW)
    publisher.clock.advance(360)
    with pytest.raises(TokenInvalid):
        await verifier.verify(token_of(OLD))


async def test_a_set_that_is_old_for_long_is_renewed_before_it_is_believed(publisher: Publisher) -> None:
    """Whoever was idle all night does not begin with a key that was revoked in the evening."""
    keys = publisher.remote()
    verifier = publisher.verifier(keys)
    await verifier.verify(token_of(OLD))
    publisher.publish(NEW)
    publisher.clock.advance(360)
    with pytest.raises(TokenInvalid):
        await verifier.verify(token_of(OLD))
    # Where it can't be renewed it serves, and not everybody waits for each try.
    publisher.status = 503
    publisher.clock.advance(360)
    assert await verifier.verify(token_of(NEW)) == CLAIMS
    publisher.gate.clear()
    publisher.clock.advance(59)
    assert await verifier.verify(token_of(NEW)) == CLAIMS
    assert keys._fetching


async def test_a_session_of_the_caller_stays_open(publisher: Publisher) -> None:
    async with aiohttp.ClientSession() as session:
        keys = publisher.remote(session=session)
        await keys.keep_current()
        await keys.close()
        assert not session.closed
        assert (await session.get(publisher.url)).status == 200


async def test_a_session_that_the_caller_closed_ends_in_a_line_in_the_log(publisher: Publisher) -> None:
    async with aiohttp.ClientSession() as session:
        keys = publisher.remote(session=session)
        await keys.keep_current()
    publisher.clock.advance(1000)
    with logged() as lines:
        assert await keys.reload()
    assert [line.levelname for line in lines] == ["ERROR"]
    assert known(keys) == {OLD.kid}


async def test_the_log_tells_where_a_fetch_failed_and_no_secret_of_the_address(publisher: Publisher) -> None:
    publisher.status = 418
    keys = RemoteKeySet(with_secrets(publisher.url), clock=publisher.clock)
    with logged() as lines, pytest.raises(KeysUnavailable):
        await keys.keep_current()
    await keys.close()
    (line,) = lines
    assert (told(line, "url"), told(line, "reason")) == (publisher.url, "the answer was 418")
    assert "hush" not in f"{line.getMessage()} {vars(line)}"


def with_secrets(url: str) -> str:
    return url.replace("http://", "http://hush-user:hush@") + "?key=hush#hush"


@pytest.mark.parametrize(
    "error", [RuntimeError, ValueError, OSError, TimeoutError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL]
)
async def test_no_secret_of_the_address_is_in_the_log_whatever_an_application_logs_of_errors(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """The renderers of structlog show the local variables of each traceback, and adopt the lines of libraries."""

    def failing(_: aiohttp.ClientSession, url: Any, **__: Any) -> Any:
        # It quotes the URL, as some errors of aiohttp do.
        raise error(f"Connection timeout to host {url}") from ValueError(f"no such {url}")

    monkeypatch.setattr(aiohttp.ClientSession, "get", failing)
    written = io.StringIO()
    with_locals = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer())
    ways: list[list[Any]] = [
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.RichTracebackFormatter(show_locals=True))],
        [with_locals, structlog.processors.JSONRenderer()],
    ]
    logger = logging.getLogger("watchword_client")
    for processors in ways:
        handler = logging.StreamHandler(written)
        handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
                processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *processors],
            )
        )
        logger.addHandler(handler)
        try:
            keys = RemoteKeySet(with_secrets(publisher.url), clock=publisher.clock)
            with pytest.raises(KeysUnavailable) as caught:
                await keys.keep_current()
        finally:
            logger.removeHandler(handler)
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(keys)
        assert "hush" not in written.getvalue() + shown
        assert caught.value.__context__ is None
    assert written.getvalue().count("was not renewed") == 2
    assert written.getvalue().count(error.__name__) == 2


def test_the_text_of_a_key_does_not_tell_a_secret() -> None:
    secret = signing_key("HS256")
    assert "shared secret" not in repr(secret)
    assert "shared secret" not in repr(verification_key(secret))


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "FILE:///etc/passwd", "file://localhost/etc/passwd", "ftp://example.com/jwks.json",
        "ftps://example.com/", "data:application/json,{}", "gopher://example.com/", "ws://example.com/", "unix:///run/x",
        "jar:http://example.com!/", "javascript:0", "blob:http://example.com/x", "http+unix://run/x", "", "/", "jwks",
        "//example.com/jwks.json", "example.com/jwks.json", "localhost:8080/jwks.json", "http:", "http:/", "http://",
        "http:///jwks.json", "http:example.com", "https://?x", "http://:80/", "http://@/", "http://[::1", "http://a:b/",
        "http://a:99999/", "http://exa mple.com/", " http://example.com/", "http://example.com/\n", "http://exam\tple.com/",
        "http://example.com\0/", "\x00", "http://a..b/", f"http://{'a' * 64}.com/",
    ],
)  # fmt: skip
def test_only_http_and_https_with_a_host_are_taken(url: str) -> None:
    with pytest.raises(ConfigurationError, match="http:// or https://"):
        RemoteKeySet(url)
    for good in ("http://127.0.0.1:8080/.well-known/jwks.json", "HTTPS://example.com", "http://[::1]:80/x?y#z"):
        RemoteKeySet(good)
