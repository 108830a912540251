"""Values of each kind of mail, for the check of templates and for `mail preview`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from server.mail.model import MailKind

Values = Mapping[str, str | int]

# 28 November 2026, 09:41 UTC.
_AT = 1795858860000
_TOKEN = "preview-of-a-token-which-opens-nothing-at-all"  # noqa: S105 - it opens nothing
_CODE = "K7MP-4XHD"
_USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
_OF_A_USER = {"path": "/account", "username": "lak"}


def samples(kind: MailKind) -> Sequence[Values]:
    """What callers of the outbox may give for this kind, in each shape. The names are the same in all of them."""
    return _SAMPLES[kind]


_SAMPLES: Mapping[MailKind, Sequence[Values]] = {
    MailKind.CONFIRM_EMAIL: [{"path": f"/confirm-email#wwe_{_TOKEN}", "code": _CODE, "hours": 24}],
    MailKind.ADDRESS_TAKEN: [{"path": "/sign-in"}],
    MailKind.INVITATION: [{"path": f"/invitation#wwi_{_TOKEN}", "expires_at": _AT}],
    MailKind.RESET_PASSWORD: [
        {"path": f"/reset-password#wwf_{_TOKEN}", "code": _CODE, "minutes": 30, "username": "lak"}
    ],
    MailKind.SIGN_IN_CODE: [{"path": f"/sign-in#wws_{_TOKEN}", "code": _CODE, "minutes": 10}],
    MailKind.PASSWORD_CHANGED: [{"path": "/sign-in", "username": "lak", "at": _AT}],
    MailKind.PRIMARY_CHANGED: [_OF_A_USER | {"email": "lak@example.org"}, _OF_A_USER | {"email": ""}],
    MailKind.EMAIL_ADDED: [_OF_A_USER | {"email": "lak@example.org"}],
    MailKind.NEW_SIGN_IN: [_OF_A_USER | {"at": _AT, "ip": "192.0.2.10", "user_agent": _USER_AGENT}],
    MailKind.TEST: [{}],
}
