"""Sessions, and what revokes tokens. Times are epoch milliseconds, ids are strings."""

from __future__ import annotations

from dataclasses import dataclass

# Behind every id in the order of ids, which are hexadecimal.
LAST_ID = "g"
# For how long a revocation is remembered. A day is the longest life that a token can be given, whatever it is just now:
# another process, or this one before its restart, may have issued tokens of a longer one. And a minute, since clocks of
# nodes differ.
MEMORY_MS = 86_400_000 + 60_000
# Entries of a list that are read at once, if nobody says how many.
PAGE = 1000


@dataclass(frozen=True, slots=True)
class Session:
    """One login: one chain of refresh tokens (docs/sessions.md).

    `step` is the number of refreshes so far, and so the step of the one refresh token that is unused; `stepped_at` is
    when it was last raised. `idle_expires_at` moves with each refresh, `expires_at` never. `ip` is the address of the
    last refresh, or else of the login; `user_agent` is that of the login.
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
    ended_at: int | None = None


@dataclass(frozen=True, slots=True)
class UserSession:
    """A session with what its tokens say of its user."""

    session: Session
    username: str
    role: str
    role_changed_at: int


@dataclass(frozen=True, slots=True)
class EndedSession:
    """A session that was ended just now, and whose it was."""

    id: str
    user_id: str
    username: str


@dataclass(frozen=True, slots=True)
class Revocation:
    """Why access tokens that are already issued are invalid: their session has ended, or their user has another role.

    Either `session_id`, or `user_id` with the `role` that is the right one since `role_changed_at`; of two for one user
    the higher `number` counts. After `forget_at` those tokens have expired by themselves.
    """

    number: int
    session_id: str | None
    user_id: str | None
    role: str | None
    role_changed_at: int
    forget_at: int


@dataclass(frozen=True, slots=True)
class RevocationPage:
    """Revocations, and the cursor from which to read on. The same one may come twice.

    `whole`: these are all that the store has, whatever the cursor was that it was asked with.
    """

    cursor: str
    whole: bool
    revocations: list[Revocation]
