"""Invitations. Times are epoch milliseconds, ids are strings."""

from __future__ import annotations

from dataclasses import dataclass

# In seconds: how long an invitation lasts if nobody says otherwise, and at most.
DEFAULT_LIFE_SECONDS = 7 * 86_400
LONGEST_LIFE_SECONDS = 30 * 86_400
MOST_USES = 10_000
# An invitation that was made further ahead than this was made while the clock was wrong. The clocks of nodes may differ
# by this much.
AHEAD_MS = 60_000


@dataclass(frozen=True, slots=True)
class Invitation:
    """What lets people register, `uses` of them.

    `email` is the only address that it is for; None: it is for anybody. `created_by` is the id of the user who made it,
    who may be gone; None: it was made on the command line.
    """

    id: str
    role: str
    email: str | None
    uses: int
    used: int
    created_by: str | None
    created_at: int
    expires_at: int
    withdrawn_at: int | None = None

    def state(self, now: int) -> str:
        """`open` if it can be used at that time, as far as this record tells; else why not, in words."""
        if self.withdrawn_at is not None:
            return "withdrawn"
        if self.used >= self.uses:
            return "used up"
        if now >= self.expires_at:
            return "expired"
        return "open" if self.created_at - AHEAD_MS <= now else "made by a wrong clock"


@dataclass(frozen=True, slots=True)
class NewInvitation:
    """An invitation that was just made, with its token. `mailed`: a mail with the link goes to its address."""

    invitation: Invitation
    token: str
    mailed: bool
