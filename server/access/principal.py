"""Who calls, whatever they have shown for it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Credential(StrEnum):
    """What a caller has shown."""

    ACCESS_TOKEN = "access token"  # noqa: S105 - its kind, no token


class Principal(NamedTuple):
    """The user who calls. A tuple, since one is made for each request, and a frozen dataclass takes twice as long."""

    subject: str
    username: str
    role: str
    # None where the credential belongs to no session.
    session_id: str | None
    credential: Credential
