"""Sessions, and revocations of access tokens. Times are epoch milliseconds, ids are strings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

# For how long a revocation is remembered. A day is the longest life that a token can be given, whatever it is just now:
# another process, or this one before its restart, may have issued tokens of a longer one. And a minute, since clocks of
# nodes differ.
MEMORY_MS = 86_400_000 + 60_000
# The default number of entries in a page.
PAGE = 1000
# For so long after a sign-in nobody is asked again.
RECENT_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Session:
    """One login: one chain of refresh tokens (docs/sessions.md).

    `step` is the number of refreshes so far, and so the step of the one refresh token that is unused; `stepped_at` is
    when it was last raised. `idle_expires_at` moves with each refresh, `expires_at` never. `ip` is the address of the
    last refresh, or else of the login; `user_agent` is that of the login. `authenticated_at` is when the user has
    proved who they are, by the login or later, and `amr` says by which methods (RFC 8176 section 2).
    """

    id: str
    user_id: str
    step: int
    created_at: int
    stepped_at: int
    idle_expires_at: int
    expires_at: int
    ip: str | None
    user_agent: str | None
    authenticated_at: int
    amr: tuple[str, ...]
    ended_at: int | None = None


@dataclass(frozen=True, slots=True)
class UserSession:
    """A session, with the values of its user that are in its tokens."""

    session: Session
    username: str
    role: str
    role_changed_at: int


@dataclass(frozen=True, slots=True)
class EndedSession:
    """A session that has just ended, and its user."""

    id: str
    user_id: str
    username: str


class Revocation(NamedTuple):
    """Makes access tokens invalid that were issued before: their session has ended, or their user has another role.

    It has a `session_id`, or a `user_id` with the `role` that the user has since `role_changed_at`. If there are two
    for a user, the one with the higher `number` is right. After `forget_at` all such tokens have expired. It is a
    tuple, since a start may read a million of them.
    """

    number: int
    session_id: str | None
    user_id: str | None
    role: str | None
    role_changed_at: int
    forget_at: int


@dataclass(frozen=True, slots=True)
class RevocationPage:
    """Revocations, and the cursor for the next read. A revocation may come twice.

    If `whole` is true, these are the first of all revocations of the store, and what was read before does not count. If
    `more` is true, the next read has more of the same. `ended` are sessions that have ended, in the form of
    EndedSessions.add_packed; the others are in `revocations`.
    """

    cursor: str
    whole: bool
    more: bool
    revocations: list[Revocation]
    ended: bytes = b""
