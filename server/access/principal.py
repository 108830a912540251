"""Who calls, whatever they have shown for it."""

from __future__ import annotations

from typing import NamedTuple


class Principal(NamedTuple):
    """The user who calls. A tuple, since one is made for each request, and a frozen dataclass takes twice as long."""

    subject: str
    username: str
    role: str
    # None where the credential belongs to no session.
    session_id: str | None
