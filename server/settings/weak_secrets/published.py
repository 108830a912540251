"""Finds secrets that are published in lists, tutorials and documents, and hashes of common words."""

from __future__ import annotations

import base64
import hashlib
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files

from server.settings.weak_secrets.spelling import LEAST_BYTES, LEET, plain_text

# known_secrets.bin has the first bytes of the SHA-256 of each published secret, sorted. `packed` makes it from
# jwt.secrets.list of https://github.com/wallarm/jwt-secrets (MIT licence, commit 99e2360) and from _MORE.
_DIGEST_BYTES = 8
_MORE = (
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970",
    "SecretKey012345678901234567890123456789012345678901234567890123456789",
    # From tutorials, each in many public repositories.
    "3cfa76ef14937c1c0ea519f8fc057a80fcd04a7420f8e8bcd0a7567c272e007b",
    "5367566B59703373367639792F423F4528482B4D6251655468576D5A71347437",
    "9a4f2c8d3b7a1e6f45c8a0b3f267d8b1d4e6f3c8a9d2b5f8e3a9c8b5f6v8a3d9",
    "Yh2k7QSu4l8CZg5p6X3Pna9L0Miy4D3Bvt0JVr87UcOj69Kqw5R2Nmf4FWs03Hdx",
    "daf66e01593f61a15b857cf433aae03a005812b31234e149036bcc8dee755dbb",
    # From RFC 7515, 7516, 7517 and 7520, from jwt.io, and from documents of cloud and payment services.
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    "FdFYFzERwC2uCBB46pZQi4GG85LujR8obt-KWRBICVQ",
    "GawgguFyGrWKav7AX4VKUg",
    "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",
    "GZy6sIZ6wl9NJOKB-jnmVQ",
    "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "sk_test_4eC39HqLyjWDarjtT1zdp7dc",
    "3141592653589793238462643383279502884197",
    "2718281828459045235360287471352662497757",
)
# Hashes of these words look random, but anybody can compute them: echo secret | sha256sum.
_HASHED = (
    "", "secret", "password", "test", "admin", "changeme", "change-me", "hello", "hello world", "jwt", "key", "foo",
    "123456", "12345678", "1234567890", "qwerty", "letmein", "default", "example", "watchword", "token", "root", "user",
    "abc", "abc123", "0", "1", "test123", "password123", "admin123", "mysecret", "supersecret", "secretkey",
    "my-secret-key", "your-256-bit-secret", "foobar", "bar", "secret-key",
)  # fmt: skip


def is_published(text: str) -> bool:
    """Whether the secret is published, perhaps in another spelling."""
    return any(_is_listed(digest) for digest in _digests(text))


def packed(secrets: Iterable[str]) -> bytes:
    """The content of known_secrets.bin for a list of secrets."""
    digests = {digest for secret in (*secrets, *_MORE, *_hashes()) for digest in _digests(secret)}
    return b"".join(sorted(digests))


def _hashes() -> Iterator[str]:
    for word in _HASHED:
        for said in (word, f"{word}\n"):
            for name in ("md5", "sha1", "sha256", "sha512"):
                raw = hashlib.new(name, said.encode(), usedforsecurity=False).digest()
                yield raw.hex()
                yield base64.b64encode(raw).decode()


def _digests(text: str) -> set[bytes]:
    """Digests of the text without case, separators, leet, and digits at its ends."""
    plain = plain_text(text)
    bare = re.sub(r"[\W_]", "", plain)
    spelt = {bare, bare.strip("0123456789"), plain.translate(LEET[0])}
    forms = {re.sub(r"[\W_]", "", form.translate(LEET[0])).replace("l", "i") for form in spelt}
    return {hashlib.sha256(form.encode()).digest()[:_DIGEST_BYTES] for form in forms if len(form) >= LEAST_BYTES}


def _is_listed(digest: bytes) -> bool:
    table = _table()
    places = range(len(table) // _DIGEST_BYTES)

    def at(place: int) -> bytes:
        return table[place * _DIGEST_BYTES : (place + 1) * _DIGEST_BYTES]

    place = bisect_left(places, digest, key=at)
    return place < len(places) and at(place) == digest


@cache
def _table() -> bytes:
    return files(__package__).joinpath("known_secrets.bin").read_bytes()
