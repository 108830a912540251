"""The principal: who calls, with any kind of credential."""

from __future__ import annotations

from typing import NamedTuple


class Principal(NamedTuple):
    """The user who calls. A tuple, since one is made for each request, and a frozen dataclass takes twice as long."""

    subject: str
    username: str
    role: str
    # None if the credential does not belong to a session.
    session_id: str | None
    # When the user has proved who they are, in seconds since the epoch; None if the credential does not say.
    auth_time: int | None = None
