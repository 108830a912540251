"""RSA keys that anybody can factor are refused wherever keys are loaded; others never are."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import cache
from math import gcd, prod
from pathlib import Path

import pytest

from server.cli import main
from tests.forging import base64url, signing_key
from tests.publisher import Publisher
from tests.watchword_client.logs import logged, told
from watchword_client.errors import KeyRefused, KeysUnavailable
from watchword_client.jwk import KeySet, load_jwk
from watchword_client.rsa_flaws import factoring_flaw

RANDOM = random.Random(15_361)
PRIMES = [number for number in range(2, 1500) if all(number % other for other in range(2, number))]
# How many of the first primes the faulty library took, by the bits of a key.
TAKEN = {2048: 126, 3072: 126, 4096: 225}


def is_prime(number: int) -> bool:
    # Few numbers are left for the exact look, which takes a hundred times as long.
    return gcd(number, prod(PRIMES)) == 1 and all(pow(base, number - 1, number) == 1 for base in (2, 3, 5))


def of_roca(bits: int) -> int:
    """k*M + (65537^a mod M), of that many bits."""
    whole = prod(PRIMES[: TAKEN[2 * bits]])
    while True:
        made = RANDOM.randrange(2 ** (bits - 1) // whole + 1, 2**bits // whole) * whole
        made += pow(65537, RANDOM.randrange(whole), whole)
        # Enough for the highest bit of the product.
        if made >> (bits - 2) == 3:
            return made


def prime_of_roca() -> int:
    return next(made for made in iter(lambda: of_roca(1024), None) if is_prime(made))


def ordinary_prime(start: int) -> int:
    return next(number for number in range(start | 1, start + 100_000, 2) if is_prime(number))


def jwk(modulus: int) -> dict[str, str]:
    raw = modulus.to_bytes((modulus.bit_length() + 7) // 8, "big")
    return {"kty": "RSA", "n": base64url(raw), "e": "AQAB", "kid": "x"}


# Made by the tests that need them: to look for primes takes a second.
@cache
def roca() -> int:
    return prime_of_roca() * prime_of_roca()


@cache
def near() -> int:
    return ordinary_prime(3 << 1022)


FLAWED: dict[str, Callable[[], int]] = {
    "ROCA": roca,
    # For the form of the modulus its factors need not be prime.
    "3072 bits of ROCA": lambda: of_roca(1536) * of_roca(1536),
    "4096 bits of ROCA": lambda: of_roca(2048) * of_roca(2048),
    "close": lambda: near() * ordinary_prime(near() + 2),
    "a square": lambda: near() * near(),
    "close enough": lambda: near() * ordinary_prime(near() + 2**512),
}


@pytest.mark.parametrize("flaw", FLAWED)
def test_a_key_that_anybody_can_factor_is_refused(flaw: str) -> None:
    with pytest.raises(KeyRefused, match="can be taken apart by anybody"):
        load_jwk(jwk(FLAWED[flaw]()))


def test_a_roca_key_is_called_by_its_name() -> None:
    with pytest.raises(KeyRefused, match="CVE-2017-15361"):
        KeySet.of({"keys": [jwk(roca())]})


def test_a_file_with_a_roca_key_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("keys.json").write_text(json.dumps({"keys": [jwk(roca())]}), "utf-8")
    monkeypatch.setattr("sys.argv", ["watchword", "token", "verify", "--jwks", "keys.json", "a.b.c"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "CVE-2017-15361" in capsys.readouterr().err


async def test_a_published_roca_key_is_not_taken(publisher: Publisher) -> None:
    publisher.publish_jwks(jwk(roca()))
    with logged() as lines, pytest.raises(KeysUnavailable):
        await publisher.remote().keep_current()
    assert "CVE-2017-15361" in told(lines[0], "reason")


def test_other_keys_are_taken() -> None:
    assert factoring_flaw(signing_key("RS256").material.public_key().public_numbers().n) is None
    for bits in (2048, 3072, 4096, 8192):
        for _ in range(20):
            modulus = RANDOM.getrandbits(bits) | 1 << (bits - 1) | 1
            assert factoring_flaw(modulus) is None
