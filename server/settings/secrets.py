"""Types of the settings that hold secrets, and the check that a secret is strong enough."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, SecretStr

from server.settings.weak_secrets.reason import reason_to_guess

MINIMUM_LENGTH = 32


# Advice for a master key: the old one is still needed to open the keys in the store.
_BEFORE_THE_OLD = (
    '; if keys are sealed under this one, put the new one before it, ["new", "old"], and run `keys rewrap`'
)


def _strong(secret: SecretStr, advice: str = "") -> SecretStr:
    """A secret of at least 32 bytes (RFC 7518 section 3.2) that can't be guessed. Raises ValueError."""
    text = secret.get_secret_value()
    reason = weakness(text) if text else None
    if reason is not None:
        raise ValueError(
            f"is too weak: {reason}; it takes 32 bytes that nobody can guess; make it with: "
            f"openssl rand -base64 32{advice}"
        )
    return secret


def weakness(text: str) -> str | None:
    """Why a secret is too weak, in words; None if it is strong."""
    if len(text.encode("utf-8", "surrogatepass")) < MINIMUM_LENGTH:
        return "it is short"
    return reason_to_guess(text)


def _listed(value: Any) -> Any:
    """A single secret as a list; the empty text is an empty list."""
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


# All secrets are checked: an attacker who guesses any of them can sign tokens.
Secrets = Annotated[
    tuple[Annotated[SecretStr, AfterValidator(_strong)], ...],
    BeforeValidator(_listed),
    AfterValidator(_none_empty),
]
# Only the first master key is checked. The others open what they have sealed, so a weak one can be replaced.
SealingSecrets = Annotated[
    tuple[SecretStr, ...], BeforeValidator(_listed), AfterValidator(_none_empty), AfterValidator(_first_is_strong)
]


def texts(secrets: tuple[SecretStr, ...]) -> list[str]:
    """The secrets as plain text."""
    return [secret.get_secret_value() for secret in secrets]
