"""Tasks in the background: following other processes, keys, mails, old rows, other nodes, costs of hashes, a check."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

import structlog
from aiohttp import web

from server.authentication.attempts import FORGET_MS
from server.challenges.model import LONGEST_LIFE_MS
from server.core.clock import Clock, Steadiness
from server.core.errors import StoreRefused, StoreUnavailable
from server.core.tasks import beside
from server.database.steps import in_steps
from server.mail.outbox_model import MailResult
from server.mail.sender import Sender
from server.mail.tidying import tidy_mails
from server.passwords.pool import HashPool
from server.recovery.model import WAIT_MS
from server.registration.unconfirmed import CONFIRM_MS, delete_unconfirmed
from server.repositories import Repositories
from server.services import Services

ROUND_SECONDS = 60
# Requests for mails wait for so long at most; none is answered at once, so that the time of no answer tells anything.
REQUEST_SECONDS = 1.0
# How often the other nodes are told that this one runs. Six times before it is taken for gone.
BEAT_SECONDS = 10
# The store reports changes; after this time they are read even without a report.
WAIT_SECONDS = 0.5
RETRY_SECONDS = 0.3
# After this time it is seen whether a store that was away is back.
AWAY_SECONDS = 5.0
# An invitation is kept for so long after its end, so that admins see what became of it.
INVITATION_DELAY_MS = 30 * 86_400_000
# What lies further ahead than its life and this was written by a clock that was ahead.
AHEAD_MS = 86_400_000
# An ended session is kept for a day, so a late refresh still gets the reason.
PURGE_DELAY_MS = 86_400_000
# Imported accounts come many at a time, with hashes of one kind, so this many accounts have nearly all kinds.
LEARN_USERS = 1000

_log = structlog.get_logger("watchword")


class Running(Protocol):
    """What the tasks work on. A reload replaces `services`, and the tasks go on with the new ones."""

    services: Services
    # It is set when hashes are made in another way than before.
    hashes_renewed: asyncio.Event

    async def refresh_keys(self) -> None:
        """Read the keys. Raises StoreUnavailable."""
        ...

    def on_end(self, begin_end: Callable[[], None]) -> None:
        """Call this when the end of the server begins, while it still finishes requests."""
        ...


async def background(running: Running, _: web.Application) -> AsyncIterator[None]:
    """A cleanup context: the tasks run while the server does."""
    services = running.services
    steadiness = Steadiness(services.clock, services.settings.tokens.access_ttl_seconds)

    count = services.watchers.mails or _uncounted
    sender = _sender(running, count)
    running.on_end(sender.begin_end)

    async def tidy() -> None:
        steadiness.require(running.services.settings.tokens.access_ttl_seconds)
        if steadiness.holds():
            await running.services.sessions.repair_future_times()
            await purge(services.repositories, services.clock)
            await tidy_mails(services.repositories, services.clock.now_ms(), count)
        # By no clock, so it need not be steady.
        await in_steps(services.repositories.audit.note_times)

    async def maintain_keys() -> None:
        await running.services.keys.maintain(steady=steadiness.holds())

    async def beat() -> None:
        await running.services.nodes.beat()

    async def answer_requests() -> None:
        if running.services.outbox.enabled:
            await running.services.recovery.resolve()

    following: list[Callable[[], Awaitable[None]]] = [services.revocations.refresh, running.refresh_keys]
    if services.watchers.followed is not None:
        following.append(services.watchers.followed)
    work = [
        follow(services.repositories.driver.wait_for_change, following),
        _each_round("signing keys", maintain_keys),
        _each_round("purge", tidy),
        _each_round("mail requests", answer_requests, REQUEST_SECONDS, ROUND_SECONDS),
        sender.run(),
        _learn(running),
        _check_store(services),
    ]
    tells_nodes = not services.settings.store.is_sqlite and services.nodes.name.worker == 0
    if tells_nodes:
        work.append(_each_round("nodes", beat, BEAT_SECONDS))
    try:
        async with beside(*work):
            yield
    finally:
        if tells_nodes:
            await running.services.nodes.leave()


def _uncounted(_: MailResult) -> None:
    """Nobody counts mails."""


def _sender(running: Running, count: Callable[[MailResult], None]) -> Sender:
    services = running.services
    return Sender(
        claims=services.repositories.mail_claims,
        mailing=lambda: running.services.mailing,
        written=services.outbox.written,
        clock=services.clock,
        ids=services.ids,
        node=services.nodes.name,
        alone=services.settings.store.is_sqlite,
        count=count,
    )


async def follow(
    wait_for_change: Callable[[float], Awaitable[None]], read: Sequence[Callable[[], Awaitable[None]]]
) -> None:
    """Read revocations and keys again within a second after a change by another process, until cancelled.

    While the store can't be reached, nobody can revoke anything either, and the known revocations stay in force.
    """
    told = False
    while True:
        try:
            await wait_for_change(WAIT_SECONDS)
            for one in read:
                await one()
            told = False
        except StoreUnavailable:
            if not told:
                _log.warning("revocations could not be read; trying again")
            told = True
            await asyncio.sleep(RETRY_SECONDS)
        except Exception:  # noqa: BLE001 - a defect here must not leave tokens unrevoked in silence
            _log.exception("revocations could not be read; trying again")
            await asyncio.sleep(RETRY_SECONDS)


async def purge(repositories: Repositories, clock: Clock) -> None:
    """Delete what is over: sessions, revocations, invitations, challenges, counts, known devices, unconfirmed accounts.

    In short steps, so nobody waits for it.
    """
    now = clock.now_ms()
    for delete in (
        partial(repositories.sessions.purge, now - PURGE_DELAY_MS),
        partial(repositories.sessions.purge_revocations, now),
        partial(repositories.invitations.purge, now - INVITATION_DELAY_MS),
        partial(repositories.challenges.purge, now - PURGE_DELAY_MS),
        partial(repositories.attempts.purge, now - FORGET_MS),
        partial(repositories.known_clients.purge, now),
        partial(delete_unconfirmed, repositories, now),
    ):
        await in_steps(delete)
    # Where mail is on, they are answered long before.
    await repositories.mail_requests.drop_older(now - WAIT_MS)
    # What a clock that was ahead has begun.
    await repositories.challenges.drop_future(now + LONGEST_LIFE_MS + AHEAD_MS)
    await repositories.unconfirmed.bring_back(now + CONFIRM_MS + AHEAD_MS, now + CONFIRM_MS)


async def _check_store(services: Services) -> None:
    """Of the workers of a server the first one does it; the one that takes its place begins anew."""
    if services.nodes.name.worker:
        return
    try:
        await services.repositories.driver.check_rest()
    except Exception:  # noqa: BLE001 - a defect here must not be silent, nor end anything else
        _log.exception("background task failed", task="check of the store")


async def _learn(running: Running) -> None:
    while True:
        running.hashes_renewed.clear()
        await learn_costs(running.services.repositories, running.services.hashes)
        await running.hashes_renewed.wait()


async def learn_costs(repositories: Repositories, hashes: HashPool) -> None:
    """Measure the cost of the kinds of password hash in the store, so the time of a failed login does not show it."""
    try:
        users = await repositories.users.list_credentials(LEARN_USERS)
        await hashes.learn([user.password_hash for user in users if user.password_hash is not None])
    except StoreUnavailable:
        _log.warning("the costs of password hashes are learned from logins, since they could not be at the start")
    except Exception:  # noqa: BLE001 - a defect here must not be silent, nor end anything else
        _log.exception("background task failed", task="costs of password hashes")


async def _each_round(
    what: str,
    work: Callable[[], Awaitable[None]],
    seconds: float | None = None,
    seconds_after_failure: float | None = None,
) -> None:
    pause = ROUND_SECONDS if seconds is None else seconds
    told = False
    while True:
        wait = pause if seconds_after_failure is None else seconds_after_failure
        try:
            await work()
            wait, told = pause, False
        except StoreUnavailable:
            wait = min(wait, AWAY_SECONDS)
            if not told:
                _log.warning("the store could not be reached; trying again", task=what)
            told = True
        except StoreRefused as error:
            # For example, this user can't read the master key. The log says what to do; no restart is needed
            # afterwards.
            _log.error("background task failed; trying again in a minute", task=what, reason=str(error))
        except Exception:  # noqa: BLE001 - a defect in one round must not end the later rounds
            _log.exception("background task failed", task=what)
        await asyncio.sleep(wait)
