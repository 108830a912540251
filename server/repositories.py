"""All SQL of this program, on one driver: a repository for each feature.

To add a query: write it in the repository.py of its feature, once for both databases, with `$1` placeholders. Read with
`self._driver.read(sql, *parameters)`. Write inside `self._driver.write(unit)`: a unit is one transaction, so whatever
must hold together goes into one unit, and what must hold against other nodes goes into the WHERE of one statement.
Where the dialects differ, the driver has a method for it; what one feature alone needs, it has once for each
`driver.dialect`. A row has its values by name, so a record is made by `User(**row)`.

Every query may raise StoreUnavailable: the database did not answer, and the write, if it was one, did not happen or its
outcome is unknown to the client. What returned is on disk.
"""

from __future__ import annotations

from server.audit.repository import AuditRepository
from server.authentication.repository import AttemptRepository
from server.database.driver import Driver
from server.database.open import open_driver
from server.health.repository import ReadinessRepository
from server.keys.repository import KeyRepository
from server.sessions.repository import SessionRepository
from server.users.repository import UserRepository


class Repositories:
    """One of each, and the life of the driver under them."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.audit = AuditRepository(driver)
        self.keys = KeyRepository(driver, self.audit)
        self.attempts = AttemptRepository(driver)
        self.sessions = SessionRepository(driver)
        self.users = UserRepository(driver)
        self.readiness = ReadinessRepository(driver)

    async def close(self) -> None:
        """Finish what is under way and let go of every file and connection. May be called twice."""
        await self.driver.close()


async def open_repositories(url: str, *, serving: bool) -> Repositories:
    """All repositories on the database of that URL. Raises StoreRefused, StoreUnavailable."""
    return Repositories(await open_driver(url, serving=serving))
