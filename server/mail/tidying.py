"""What becomes of mails after their end, and of those that nobody tries any more."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import structlog

from server.database.steps import in_steps
from server.mail.outbox_model import MailResult, MailState
from server.repositories import Repositories

# Admins see for so long what was sent, and what could not be.
SENT_MS = 7 * 86_400_000
GIVEN_UP_MS = 30 * 86_400_000

_log = structlog.get_logger("watchword.mail")


async def tidy_mails(repositories: Repositories, now: int, count: Callable[[MailResult], None]) -> None:
    """Give up what was not sent in time, and delete what nobody needs. `now` is by a clock that can be trusted."""
    await repositories.mail_claims.repair_future_times(now)
    expired = await in_steps(partial(repositories.mail_claims.expire, now))
    for _ in range(expired):
        count(MailResult.EXPIRED)
    if expired:
        _log.warning("mails given up, since they could not be sent in time", count=expired)
    await in_steps(partial(repositories.mails.purge, MailState.SENT, now - SENT_MS))
    await in_steps(partial(repositories.mails.purge, MailState.GIVEN_UP, now - GIVEN_UP_MS))
    await in_steps(partial(repositories.mails.forget_contents, now))
