"""Constructs the services of accounts, of their addresses, of mailed codes and of registration, for app.py."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

from server.authentication.service import Authentication
from server.authentication.throttling import Throttle
from server.challenges.digests import ChallengeDigests
from server.challenges.service import Challenges
from server.core.clock import Clock
from server.core.ids import Ids
from server.core.turns import Turns
from server.emails.confirmations import Confirmations
from server.emails.service import Emails
from server.keys.service import KeyService
from server.mail.mailing import Mailing
from server.mail.notices import Notices
from server.mail.outbox import Outbox
from server.mail.sealing import Sealing
from server.mail.service import Mails
from server.passwords.pool import HashPool
from server.policies import password_policy, registration_rules
from server.recovery.proofs import Proofs
from server.recovery.requests import MailRequests
from server.recovery.resets import MailedResets
from server.recovery.resolving import Resolver
from server.recovery.service import Recovery
from server.recovery.sign_in_codes import SignInCodes
from server.registration.invitation_token import InvitationTokens
from server.registration.invitations import Invitations
from server.registration.service import Registration
from server.repositories import Repositories
from server.routes import privileged_roles
from server.services import Watchers
from server.sessions.revocation import Revocations
from server.settings import Settings
from server.users.passwords import UserPasswords
from server.users.reset_token import ResetTokens
from server.users.service import Users
from watchword_client.access import Roles


@dataclass(frozen=True, slots=True)
class Base:
    """What nearly every service is constructed from."""

    settings: Settings
    clock: Clock
    ids: Ids
    repositories: Repositories
    watchers: Watchers
    turns: Turns


def outbox(base: Base, keys: KeyService, written: asyncio.Event) -> Outbox:
    """Where mails wait. `written` wakes the sender of this process, whatever the settings are."""
    sealing = Sealing(partial(keys.current.token_key, "mail"), base.ids)
    return Outbox(base.repositories.mails, sealing, base.clock, base.ids, base.settings, written=written)


def challenges(base: Base, keys: KeyService, throttle: Throttle) -> Challenges:
    """What mailed links and codes are made by and looked at."""
    repositories = base.repositories
    return Challenges(
        driver=repositories.driver,
        repository=repositories.challenges,
        users=repositories.users,
        emails=repositories.emails,
        throttle=throttle,
        digests=ChallengeDigests(partial(keys.current.token_key, "challenge")),
        clock=base.clock,
        ids=base.ids,
    )


def mailing(base: Base, outbox: Outbox) -> Mailing | None:
    """What sends mails; None if mail is off. Raises ConfigurationError if something is wrong with `mail.templates`."""
    if not outbox.enabled:
        return None
    # A server without mail need not wait for these at its start. They are not imported while it serves.
    from server.mail.rendering.renderer import MailRenderer  # noqa: PLC0415
    from server.mail.transport.transports import transport_of  # noqa: PLC0415

    return Mailing(outbox, MailRenderer.of(base.settings), transport_of(base.settings, base.ids))


def mails(base: Base, outbox: Outbox) -> Mails:
    """What admins do with the outbox."""
    repositories = base.repositories
    return Mails(
        driver=repositories.driver,
        repository=repositories.mails,
        audit=repositories.audit,
        outbox=outbox,
        clock=base.clock,
    )


def notices(base: Base, outbox: Outbox) -> Notices:
    """What tells users of changes of their accounts."""
    repositories = base.repositories
    sign_ins = base.settings.mail.sign_in_notices
    return Notices(outbox, repositories.users, repositories.known_clients, sign_ins=sign_ins)


def user_passwords(
    base: Base,
    keys: KeyService,
    authentication: Authentication,
    throttle: Throttle,
    revocations: Revocations,
    *,
    challenges: Challenges,
    notices: Notices,
    hashes: HashPool,
) -> UserPasswords:
    """What changes passwords. `hashes` is the pool of those who are known."""
    return UserPasswords(
        driver=base.repositories.driver,
        users=base.repositories.users,
        sessions=base.repositories.sessions,
        audit=base.repositories.audit,
        authentication=authentication,
        hashes=hashes,
        policy=password_policy(base.settings),
        reset_tokens=ResetTokens(partial(keys.current.token_key, "password reset token")),
        revocations=revocations,
        challenges=challenges,
        throttle=throttle,
        notices=notices,
        clock=base.clock,
        turns=base.turns,
        settings=base.settings.passwords,
    )


def users(
    base: Base,
    passwords: UserPasswords,
    throttle: Throttle,
    revocations: Revocations,
    roles: Roles,
    *,
    challenges: Challenges,
    notices: Notices,
) -> Users:
    """What makes, changes and deletes accounts."""
    return Users(
        driver=base.repositories.driver,
        users=base.repositories.users,
        emails=base.repositories.emails,
        sessions=base.repositories.sessions,
        audit=base.repositories.audit,
        passwords=passwords,
        challenges=challenges,
        notices=notices,
        revocations=revocations,
        throttle=throttle,
        roles=roles,
        privileged_roles=privileged_roles(base.settings),
        clock=base.clock,
        ids=base.ids,
    )


def emails(base: Base, notices: Notices) -> Emails:
    """What changes addresses."""
    repositories = base.repositories
    return Emails(
        driver=repositories.driver,
        users=repositories.users,
        emails=repositories.emails,
        audit=repositories.audit,
        notices=notices,
        clock=base.clock,
    )


def confirmations(
    base: Base, challenges: Challenges, throttle: Throttle, outbox: Outbox, notices: Notices
) -> Confirmations:
    """What mails to addresses that are to be confirmed, and confirms them."""
    repositories = base.repositories
    return Confirmations(
        driver=repositories.driver,
        users=repositories.users,
        emails=repositories.emails,
        audit=repositories.audit,
        challenges=challenges,
        throttle=throttle,
        outbox=outbox,
        notices=notices,
        clock=base.clock,
    )


def registration(
    base: Base,
    keys: KeyService,
    users: Users,
    throttle: Throttle,
    roles: Roles,
    *,
    confirmations: Confirmations,
    outbox: Outbox,
    hashes: HashPool,
) -> tuple[Invitations, Registration]:
    """What invites and what registers people. `hashes` is the pool of strangers."""
    rules = registration_rules(base.settings, roles)
    invitations = Invitations(
        driver=base.repositories.driver,
        repository=base.repositories.invitations,
        users=base.repositories.users,
        emails=base.repositories.emails,
        audit=base.repositories.audit,
        tokens=InvitationTokens(partial(keys.current.token_key, "invitation token")),
        outbox=outbox,
        throttle=throttle,
        rules=rules,
        clock=base.clock,
        ids=base.ids,
    )
    registration = Registration(
        driver=base.repositories.driver,
        audit=base.repositories.audit,
        accounts=users,
        unconfirmed=base.repositories.unconfirmed,
        confirmations=confirmations,
        invitations=invitations,
        hashes=hashes,
        throttle=throttle,
        rules=rules,
        clock=base.clock,
    )
    return invitations, registration


def recovery(
    base: Base,
    keys: KeyService,
    authentication: Authentication,
    throttle: Throttle,
    *,
    outbox: Outbox,
    challenges: Challenges,
    passwords: UserPasswords,
) -> Recovery:
    """Forgotten passwords, and signing in by a mailed code."""
    repositories, clock = base.repositories, base.clock
    sealing = Sealing(partial(keys.current.token_key, "mail request"), base.ids)
    proofs = Proofs(challenges, repositories.users, repositories.emails)
    return Recovery(
        requests=MailRequests(
            driver=repositories.driver,
            repository=repositories.mail_requests,
            challenges=challenges,
            outbox=outbox,
            sealing=sealing,
            throttle=throttle,
            clock=clock,
            ids=base.ids,
            settings=base.settings,
        ),
        resets=MailedResets(challenges, proofs, passwords),
        sign_in_codes=SignInCodes(
            challenges=challenges,
            proofs=proofs,
            authentication=authentication,
            users=repositories.users,
            audit=repositories.audit,
            throttle=throttle,
            clock=clock,
        ),
        resolver=Resolver(
            driver=repositories.driver,
            repository=repositories.mail_requests,
            users=repositories.users,
            emails=repositories.emails,
            unconfirmed=repositories.unconfirmed,
            audit=repositories.audit,
            challenges=challenges,
            outbox=outbox,
            sealing=sealing,
            throttle=throttle,
            clock=clock,
        ),
    )
