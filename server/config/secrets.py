"""Secrets of the settings: how many there may be, and which are too weak."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, SecretStr
from zxcvbn_rs_py import zxcvbn

MINIMUM_LENGTH = 32
# Powers of ten of guesses, as zxcvbn estimates them. It stops at 2^64, which random secrets of 32 bytes reach.
MINIMUM_GUESSES_LOG10 = 19.0
# As much of a secret as zxcvbn looks at.
_ESTIMATED_LENGTH = 72

# What tutorials, documentation and debuggers have in their examples, in lower case.
_KNOWN = (
    "your-256-bit-secret",
    "your-384-bit-secret",
    "your-512-bit-secret",
    "a-string-secret-at-least-256-bits-long",
    "a-valid-string-secret-that-is-at-least-512-bits-long",
    "my-32-character-ultra-secure-and-ultra-long-secret",
    "super-secret-jwt-token-with-at-least-32-characters-long",
    "youraccesstokensecret",
    "yourrefreshtokensecret",
    "yourrefreshtokensecrethere",
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
)


def _strong(secret: SecretStr) -> SecretStr:
    """RFC 7518 section 3.2: a key of at least the size of the hash, 32 bytes; and one that nobody guesses."""
    text = secret.get_secret_value()
    if text and (len(text.encode("utf-8", "surrogatepass")) < MINIMUM_LENGTH or _is_guessable(text)):
        raise ValueError("is too weak: it takes 32 bytes that nobody can guess; make it with: openssl rand -base64 32")
    return secret


def _is_guessable(text: str) -> bool:
    known = any(known in text.lower() for known in _KNOWN)
    # Bytes of the environment that are not UTF-8 arrive as half characters.
    whole = text[:_ESTIMATED_LENGTH].encode("utf-8", "replace").decode()
    return known or zxcvbn(whole).guesses_log10 < MINIMUM_GUESSES_LOG10


def _listed(value: Any) -> Any:
    """One secret, or a list of them; the empty text is none."""
    if isinstance(value, str | SecretStr):
        return (value,) if (value if isinstance(value, str) else value.get_secret_value()) else ()
    return tuple(value) if isinstance(value, list) else value


def _none_empty(secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if any(not secret.get_secret_value() for secret in secrets):
        raise ValueError("has an empty secret in its list; take it out")
    if len({secret.get_secret_value() for secret in secrets}) < len(secrets):
        raise ValueError("has the same secret twice; take one out")
    return secrets


Secrets = Annotated[
    tuple[Annotated[SecretStr, AfterValidator(_strong)], ...], BeforeValidator(_listed), AfterValidator(_none_empty)
]


def texts(secrets: tuple[SecretStr, ...]) -> list[str]:
    """The secrets themselves, to be handed to what uses them."""
    return [secret.get_secret_value() for secret in secrets]
