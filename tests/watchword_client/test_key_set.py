from __future__ import annotations

import json

import pytest

from tests.clock import START_MS
from tests.forging import SECRET, signing_key
from tests.watchword_client.jwks import PAIRS, public, shared
from watchword_client.errors import KeyRefused
from watchword_client.jwk import MAXIMUM_KEYS, KeySet


def test_a_set_may_have_keys_of_several_algorithms() -> None:
    keys = KeySet.of({"keys": [public(algorithm) for algorithm in PAIRS]})
    for algorithm in PAIRS:
        key = keys.verification_key(public(algorithm)["kid"], START_MS)
        assert key is not None
        assert (key.algorithm, key.material) == (algorithm, signing_key(algorithm).material.public_key())
    assert keys.verification_key("other", START_MS) is None


def test_two_keys_of_one_name_are_refused() -> None:
    one, other = public("ES256", kid="a"), public("ES256", 2, kid="a")
    for keys in ([one, other], [one, one], [one, public("RS256", kid="a")]):
        with pytest.raises(KeyRefused, match="two keys are named 'a'"):
            KeySet.of({"keys": keys})
    # A thumbprint is a name too.
    with pytest.raises(KeyRefused, match="two keys"):
        KeySet.of({"keys": [public("ES256"), public("ES256", kid=None)]})
    assert len(KeySet.of({"keys": [one, other | {"kid": "b"}, public("ES256", kid="A")]}).kids()) == 3


def test_a_name_that_is_shown_is_short_and_in_ascii() -> None:
    kid = "\x1b[31m\u202e" + "x" * 200
    with pytest.raises(KeyRefused) as caught:
        KeySet.of({"keys": [public("ES256", kid=kid), public("EdDSA", kid=kid)]})
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize("algorithm", PAIRS)
def test_secrets_and_public_keys_are_not_mixed(algorithm: str) -> None:
    for keys in ([public(algorithm), shared()], [shared(), public(algorithm)]):
        with pytest.raises(KeyRefused, match="mixed"):
            KeySet.of({"keys": keys})
    assert len(KeySet.of({"keys": [shared(), shared(SECRET * 2)]}).kids()) == 2


@pytest.mark.parametrize(
    "text",
    [
        b"", b"x", b"{", b"null", b"1", b'"x"', b"[]", b"[{}]", b"{}", b'{"keys":null}', b'{"keys":{}}', b'{"keys":""}',
        b'{"keys":[1]}', b'{"keys":[null]}', b'{"keys":[[]]}', b'{"keys":[{}]}', b'{"keys":[]}', b'{"Keys":[]}',
        b'{"keys":[]} x', b'{"keys":[],"keys":[]}', b'{"keys":NaN}', b'{"kty":"RSA","kty":"RSA"}', b"\xff", b"\xc3{}",
        b"[" * 100_000, b'{"keys":' * 50_000, b'{"keys":[' + b"[" * 100_000, b"1" * 10_000,
    ],
    ids=lambda text: text[:30],
)  # fmt: skip
def test_what_is_no_set_of_keys_is_refused(text: bytes) -> None:
    with pytest.raises(KeyRefused):
        KeySet.parse(text)


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "latin-1"])
def test_a_set_is_read_as_utf_8_alone(coding: str) -> None:
    text = json.dumps({"keys": [public("ES256", kid="é")]}, ensure_ascii=False)
    assert KeySet.parse(text.encode()).kids() == KeySet.parse(text).kids() == {"é"}
    with pytest.raises(KeyRefused):
        KeySet.parse(text.encode(coding))


@pytest.mark.parametrize("place", ["set", "key"])
def test_a_member_comes_once(place: str) -> None:
    text = json.dumps({"keys": [public("ES256")]})
    repeated = {"set": text.replace('{"keys"', '{"keys": [], "keys"'), "key": text.replace('"kty"', '"crv": "", "kty"')}
    assert KeySet.parse(text).kids() == {public("ES256")["kid"]}
    with pytest.raises(KeyRefused, match="repeated"):
        KeySet.parse(repeated[place])


def test_a_set_has_a_hundred_keys_at_most() -> None:
    keys = [public("ES256", kid=str(place)) for place in range(MAXIMUM_KEYS + 1)]
    assert len(KeySet.of({"keys": keys[:-1]}).kids()) == MAXIMUM_KEYS == 100
    with pytest.raises(KeyRefused, match="at most 100"):
        KeySet.of({"keys": keys})
    # Also of such as would be passed over.
    with pytest.raises(KeyRefused, match="at most 100"):
        KeySet.of({"keys": [{"kty": "x"}] * (MAXIMUM_KEYS + 1)})


def test_a_set_keeps_another_if_it_has_all_its_keys_unchanged() -> None:
    a, b, c = public("ES256", kid="a"), public("RS256", kid="b"), public("EdDSA", kid="c")
    both = KeySet.of({"keys": [a, b]})
    assert both.keeps(KeySet.of({"keys": [b, a]}))
    assert KeySet.of({"keys": [a, b, c]}).keeps(both)
    assert not KeySet.of({"keys": [a, c]}).keeps(both)
    # The same name, and another key under it.
    assert not KeySet.of({"keys": [a, public("RS256", 2, kid="b")]}).keeps(both)


async def test_a_set_at_hand_stays_as_it_is() -> None:
    keys = KeySet.of(public("ES256"))
    keys.on_removal(lambda: pytest.fail("no key went"))
    assert keys.is_current()
    await keys.keep_current()
    assert not await keys.reload()
    await keys.close()
    assert keys.kids() == {public("ES256")["kid"]}
