"""The repositories of all features, on one driver. They contain all SQL of this program.

To add a query, write it in the repository.py of its feature, once for both databases, with `$1` placeholders. Read with
`self._driver.read(sql, *parameters)`. Write inside `self._driver.write(unit)`: a unit is a function that runs in one
transaction, so changes that must happen together are in one unit. A condition that other nodes could change meanwhile
is in the WHERE of the statement that writes. If the dialects differ, the driver has a method for it; if only one
feature needs it, the feature has a statement for each `driver.dialect`. A row has its values by name: `User(**row)`.

Every query may raise StoreUnavailable: the database did not answer, and a write did not happen, or nobody knows whether
it did. When a write returns, it is on disk.
"""

from __future__ import annotations

from collections.abc import Sequence

from server.audit.repository import AuditRepository
from server.authentication.repository import AttemptRepository
from server.challenges.repository import ChallengeRepository
from server.core.observer import Observer
from server.database.driver import Driver
from server.database.observed import ObservedDriver
from server.database.open import Store, open_driver
from server.emails.repository import EmailRepository
from server.health.repository import ReadinessRepository
from server.keys.repository import KeyRepository
from server.mail.claims import ClaimRepository
from server.mail.known_clients import KnownClients
from server.mail.repository import MailRepository
from server.nodes.repository import NodeRepository
from server.recovery.repository import MailRequestRepository
from server.registration.repository import InvitationRepository
from server.sessions.repository import SessionRepository
from server.users.repository import UserRepository
from server.users.unconfirmed import UnconfirmedRepository


class Repositories:
    """A repository of each feature. They share a driver, which `close` closes."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.audit = AuditRepository(driver)
        self.keys = KeyRepository(driver, self.audit)
        self.attempts = AttemptRepository(driver)
        self.sessions = SessionRepository(driver)
        self.emails = EmailRepository(driver)
        self.users = UserRepository(driver, self.emails)
        self.unconfirmed = UnconfirmedRepository(driver)
        self.invitations = InvitationRepository(driver)
        self.mails = MailRepository(driver)
        self.known_clients = KnownClients(driver)
        self.challenges = ChallengeRepository(driver)
        self.mail_requests = MailRequestRepository(driver)
        self.mail_claims = ClaimRepository(driver)
        self.readiness = ReadinessRepository(driver)
        self.nodes = NodeRepository(driver)

    async def close(self) -> None:
        """Finish running transactions, and close all files and connections. May be called twice."""
        await self.driver.close()


async def open_repositories(
    store: Store,
    *,
    serving: bool,
    inherited: Sequence[int] | None = None,
    migrating: bool = True,
    observer: Observer | None = None,
) -> Repositories:
    """All repositories on that database (`open_driver`). Raises StoreRefused, StoreUnavailable."""
    driver = await open_driver(store, serving=serving, inherited=inherited, migrating=migrating)
    return Repositories(driver if observer is None else ObservedDriver(driver, observer))
