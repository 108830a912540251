"""Challenges: what somebody has to prove who got a mail. Times are epoch milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# A challenge that was made further ahead than this was made by a wrong clock. The clocks of nodes may differ so much.
AHEAD_MS = 60_000
# So many codes are looked at for one challenge without its link, and so many with it.
CODES = 10
# So many challenges of a user and purpose are open, and so many are looked at for one code.
OPEN = 5


class Purpose(StrEnum):
    """What a challenge is for. A link or code for one purpose is nothing for the others."""

    CONFIRM_EMAIL = "confirm_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - a purpose
    SIGN_IN = "sign_in"

    @property
    def life_ms(self) -> int:
        """How long a challenge can be used."""
        match self:
            case Purpose.CONFIRM_EMAIL:
                return 86_400_000
            case Purpose.RESET_PASSWORD:
                return 1_800_000
            case Purpose.SIGN_IN:
                return 600_000

    @property
    def prefix(self) -> str:
        """What the token in the link begins with, for people and secret scanners."""
        match self:
            case Purpose.CONFIRM_EMAIL:
                return "wwe_"
            case Purpose.RESET_PASSWORD:
                return "wwf_"
            case Purpose.SIGN_IN:
                return "wws_"


LONGEST_LIFE_MS = max(purpose.life_ms for purpose in Purpose)


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge that was made for a user, and mailed to `email`.

    `password_changed_at` says for which password of the user (Credentials.password_changed_at); 0: for any.
    """

    id: str
    purpose: Purpose
    user_id: str
    email: str
    password_changed_at: int
    created_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class Digests:
    """What the store keeps of the secrets. `browser` is None if no browser has asked."""

    token: bytes
    code: bytes
    browser: bytes | None


@dataclass(frozen=True, slots=True)
class NewChallenge:
    """A challenge with its secrets, which only the mail has. The code is as people see it: `XXXX-XXXX`."""

    challenge: Challenge
    token: str
    code: str
    digests: Digests


@dataclass(frozen=True, slots=True)
class StoredChallenge:
    """A challenge as it is in the store."""

    challenge: Challenge
    digests: Digests
