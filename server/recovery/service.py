"""What there is for who can't or won't give a password."""

from __future__ import annotations

from dataclasses import dataclass

from server.recovery.requests import MailRequests
from server.recovery.resets import MailedResets
from server.recovery.resolving import Resolver
from server.recovery.sign_in_codes import SignInCodes


@dataclass(frozen=True, slots=True)
class Recovery:
    """Asking for a mail, and what its link and code are good for."""

    requests: MailRequests
    resets: MailedResets
    sign_in_codes: SignInCodes
    resolver: Resolver

    async def resolve(self) -> None:
        """Answer requests for mails that wait. It is called in the background, each second. Raises StoreUnavailable."""
        await self.resolver.resolve()
