"""The kinds of mail, and a mail that is to be written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class MailKind(StrEnum):
    """Each is the name of its templates. docs/mail.md says when each is sent."""

    CONFIRM_EMAIL = "confirm-email"
    ADDRESS_TAKEN = "address-taken"
    INVITATION = "invitation"
    RESET_PASSWORD = "reset-password"  # noqa: S105 - a name
    SIGN_IN_CODE = "sign-in-code"
    PASSWORD_CHANGED = "password-changed"  # noqa: S105 - a name
    PRIMARY_CHANGED = "primary-changed"
    EMAIL_ADDED = "email-added"
    NEW_SIGN_IN = "new-sign-in"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class NewMail:
    """A mail for the outbox, as it is handed over in the transaction of the change that it tells of.

    `values` are those that the templates of its kind need (docs/mail.md). After `useful_until` it is not sent any more,
    for a link that is no longer valid helps nobody; None: it is worth sending as long as the outbox tries. `user_id` is
    whom it is about, if there is such an account. `language` None is the first of `pages.languages`.
    """

    kind: MailKind
    recipient: str
    values: Mapping[str, str | int]
    user_id: str | None = None
    useful_until: int | None = None
    language: str | None = None
