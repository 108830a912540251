"""Secrets of the settings: how many there may be, and which are too weak."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, SecretStr

from server.settings.weak_secrets.reason import reason_to_guess

MINIMUM_LENGTH = 32


# Of a master key: without the old one nothing opens what is in the store.
_BEFORE_THE_OLD = (
    '; if keys are sealed under this one, put the new one before it, ["new", "old"], and run `keys rewrap`'
)


def _strong(secret: SecretStr, advice: str = "") -> SecretStr:
    """RFC 7518 section 3.2: a key of at least the size of the hash, 32 bytes; and one that nobody guesses."""
    text = secret.get_secret_value()
    reason = weakness(text) if text else None
    if reason is not None:
        raise ValueError(
            f"is too weak: {reason}; it takes 32 bytes that nobody can guess; make it with: "
            f"openssl rand -base64 32{advice}"
        )
    return secret


def weakness(text: str) -> str | None:
    """Why a secret is too weak, in words; None if it is not."""
    if len(text.encode("utf-8", "surrogatepass")) < MINIMUM_LENGTH:
        return "it is short"
    return reason_to_guess(text)


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


def _first_is_strong(secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if secrets:
        _strong(secrets[0], _BEFORE_THE_OLD)
    return secrets


# All are judged: whoever guesses one that verifies can also sign.
Secrets = Annotated[
    tuple[Annotated[SecretStr, AfterValidator(_strong)], ...],
    BeforeValidator(_listed),
    AfterValidator(_none_empty),
]
# The first is judged. What is behind it opens what it has sealed before, so that a weak one can be left behind.
SealingSecrets = Annotated[
    tuple[SecretStr, ...], BeforeValidator(_listed), AfterValidator(_none_empty), AfterValidator(_first_is_strong)
]


def texts(secrets: tuple[SecretStr, ...]) -> list[str]:
    """The secrets themselves, to be handed to what uses them."""
    return [secret.get_secret_value() for secret in secrets]
