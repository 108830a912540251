"""What somebody asks for or proves without a password. Times are epoch milliseconds."""

from __future__ import annotations

from dataclasses import dataclass

# A request that has waited for so long is dropped: nobody expects its mail any more.
WAIT_MS = 600_000


@dataclass(frozen=True, slots=True)
class MailRequest:
    """A mail that somebody has asked for by a name, which may be nobody's.

    `identifier` is that name, sealed. `challenge_id` is the id that the challenge will have, if there will be one.
    """

    id: str
    purpose: str
    identifier: bytes
    browser_digest: bytes | None
    challenge_id: str
    language: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Link:
    """The token of a mailed link; with the code of the same mail, or in the browser that has asked for it.

    `browser` is the value of the browser cookie (server/sessions/cookies.py).
    """

    token: str
    code: str | None
    browser: str | None


@dataclass(frozen=True, slots=True)
class NamedCode:
    """A mailed code, and what the mail was asked for with: a username or an address."""

    identifier: str
    code: str


@dataclass(frozen=True, slots=True)
class ChallengeCode:
    """A mailed code, and the id of the challenge that it belongs to."""

    challenge_id: str
    code: str
