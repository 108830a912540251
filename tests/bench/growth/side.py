"""A filled store with the services of a server on it, and what questions need of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from server.authentication.model import Authenticated
from server.core.client import Client
from server.keys.signer import Signer
from server.services import Services
from server.sessions.issuing import IssuedTokens, TokenIssuer
from server.sessions.refresh_token import RefreshTokens
from server.users.model import Credentials
from tests.bench.growth.rows import AGENT, Size

CLIENT = Client("192.0.2.1", AGENT)
# No two questions that change a user are asked about the same one.
_STEP = 40


@dataclass
class Side:
    """One of the two stores that are compared."""

    services: Services
    size: Size
    kept: dict[str, str] = field(default_factory=dict)

    def user(self, turn: int) -> str:
        """The id of a user, another one each turn, spread over all."""
        return self.size.user_id(self.number(turn))

    def number(self, turn: int) -> int:
        return turn * 7919 % self.size.count

    def fresh(self, question: int, turn: int) -> int:
        """The number of a user whom no other question changes, nor another turn; never BUSY or an admin."""
        found = (question * _STEP + turn % _STEP) * (self.size.count // 2 // 480) + 10
        return found if found % (self.size.count // 2) else found + 1

    async def credentials(self, number: int) -> Credentials:
        return await self.services.users.find(self.size.user_id(number))

    async def log_in(self, number: int) -> IssuedTokens:
        """But for the hash."""
        return await self.services.sessions.open(Authenticated(await self.credentials(number), ("pwd",)), CLIENT)

    def issuer(self, access_ttl_seconds: int) -> TokenIssuer:
        keys = self.services.keys.current
        refresh_tokens = RefreshTokens(partial(keys.token_key, "refresh token"))
        settings = self.services.settings.tokens.model_copy(update={"access_ttl_seconds": access_ttl_seconds})
        return TokenIssuer(Signer(keys), refresh_tokens, self.services.ids, settings)


Ask = Callable[[Side, int], Awaitable[object]]
