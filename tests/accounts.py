"""The services of accounts on a store alone: what they do to it, at a moment of the test's choice, without a server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from server.authentication.attempts import Attempts
from server.authentication.throttling import Throttle
from server.challenges.digests import ChallengeDigests
from server.challenges.service import Challenges
from server.core.clock import Clock
from server.core.ids import Ids, SystemRandomness
from server.mail.notices import Notices
from server.mail.outbox import Outbox
from server.repositories import Repositories
from server.sessions.revocation import Revocations
from server.sessions.service import Sessions
from server.settings import Settings
from server.settings.tree import LimitSettings
from server.users.passwords import UserPasswords
from server.users.service import Users
from server.users.transfer.importer import Importer, Refusal
from tests.clock import FakeClock
from watchword_client.access import DEFAULT_ROLES, Roles

# What the rules of the tests' stores are not asked for: hashes, tokens, ids.
UNUSED: Any = None
ROLES = Roles({**DEFAULT_ROLES, "owner": ("admin",)})


class _Unread(Revocations):
    """No process waits for what was revoked here."""

    async def soon(self) -> None:
        pass


def attempts_on(store: Repositories) -> Attempts:
    return Attempts(store.driver, store.attempts, store.audit)


def throttle_on(store: Repositories, clock: Clock, **limits: int) -> Throttle:
    return Throttle(attempts_on(store), clock, LimitSettings(**limits))


def _of_accounts(store: Repositories, clock: Clock) -> dict[str, Any]:
    """What both services of accounts are made of."""
    return {
        "driver": store.driver,
        "users": store.users,
        "sessions": store.sessions,
        "audit": store.audit,
        "revocations": _Unread(store.sessions, clock, 300),
        "notices": no_notices(store, clock),
        "clock": clock,
    }


def no_notices(store: Repositories, clock: Clock) -> Notices:
    """As in a server that sends no mail."""
    outbox = Outbox(store.mails, UNUSED, clock, UNUSED, Settings(), written=UNUSED)
    return Notices(outbox, store.users, store.known_clients, sign_ins=True)


def challenges_on(store: Repositories, clock: Clock, **limits: int) -> Challenges:
    return Challenges(
        driver=store.driver,
        repository=store.challenges,
        users=store.users,
        emails=store.emails,
        throttle=throttle_on(store, clock, **limits),
        digests=ChallengeDigests(lambda: b"k" * 32),
        clock=clock,
        ids=Ids(clock, SystemRandomness()),
    )


def passwords_on(store: Repositories, now: int) -> UserPasswords:
    clock = FakeClock(now)
    return UserPasswords(
        **_of_accounts(store, clock),
        authentication=UNUSED,
        hashes=UNUSED,
        policy=UNUSED,
        reset_tokens=UNUSED,
        challenges=challenges_on(store, clock),
        throttle=throttle_on(store, clock),
        turns=UNUSED,
        settings=UNUSED,
    )


def users_on(store: Repositories, now: int) -> Users:
    """With a role `owner` that includes admin."""
    clock = FakeClock(now)
    return Users(
        **_of_accounts(store, clock),
        emails=store.emails,
        passwords=UNUSED,
        challenges=challenges_on(store, clock),
        throttle=throttle_on(store, clock),
        roles=ROLES,
        ids=UNUSED,
    )


def sessions_on(store: Repositories, now: int) -> Sessions:
    clock = FakeClock(now)
    return Sessions(
        driver=store.driver,
        repository=store.sessions,
        audit=store.audit,
        revocations=_Unread(store.sessions, clock, 300),
        notices=no_notices(store, clock),
        issuer=UNUSED,
        clock=clock,
        ids=UNUSED,
        settings=UNUSED,
    )


def importer_on(
    store: Repositories,
    clock: FakeClock,
    *,
    dry_run: bool = False,
    refuse: Callable[[Refusal], None] = UNUSED,
    advance: Callable[[], None] = lambda: None,
) -> Importer:
    return Importer(
        driver=store.driver,
        users=store.users,
        audit=store.audit,
        throttle=throttle_on(store, clock),
        roles=Roles(DEFAULT_ROLES),
        clock=clock,
        role=None,
        dry_run=dry_run,
        refuse=refuse,
        advance=advance,
    )
