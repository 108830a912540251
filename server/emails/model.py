"""Addresses of users. Times are epoch milliseconds, ids are strings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from server.emails.address import address_keys

# So many addresses a user can have before adding another one. Admins give any.
MOST_EMAILS = 10


@dataclass(frozen=True, slots=True)
class Email:
    """An address of a user. `primary`: it is the one that is shown with the user, at most one."""

    id: str
    user_id: str
    email: str
    verified_at: int | None
    created_at: int
    primary: bool

    @property
    def verified(self) -> bool:
        """Whether it counts: the user signs in with it, and it belongs to nobody else."""
        return self.verified_at is not None


@dataclass(frozen=True, slots=True)
class EmailHolder:
    """The user who has an address verified, in the form of `email`. None: it is the username, and proves nothing."""

    user_id: str
    email: str | None


def same_as(address: str, emails: Iterable[Email]) -> Email | None:
    """The one of a user's addresses that is the same as this one, however it is spelled."""
    key = address_keys(address).email
    return next((one for one in emails if address_keys(one.email).email == key), None)
