"""Logging in: a password becomes a session and its first tokens."""

from __future__ import annotations

from dataclasses import dataclass

from server.clock import Clock
from server.config.settings import SessionSettings, TokenSettings
from server.errors import InvalidCredentials
from server.ids import Ids
from server.passwords.pool import HashPool
from server.sessions.refresh_token import RefreshTokens
from server.store.protocol import Store
from server.store.records import Credentials, Session, User
from server.tokens.claims import AccessClaims
from server.tokens.signer import Signer
from server.users.model import is_username

USER_AGENT_LENGTH = 256


@dataclass(frozen=True, slots=True)
class Client:
    """Who is at the other end: shown to users beside their sessions, never used for a decision."""

    ip: str | None
    user_agent: str | None


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """What a client holds after a login or a refresh. Lives are in seconds."""

    session_id: str
    access_token: str
    expires_in: int
    refresh_token: str
    refresh_expires_in: int


class Sessions:
    """Opens sessions and issues their tokens."""

    def __init__(
        self,
        *,
        store: Store,
        hashes: HashPool,
        signer: Signer,
        refresh_tokens: RefreshTokens,
        clock: Clock,
        ids: Ids,
        tokens: TokenSettings,
        sessions: SessionSettings,
    ) -> None:
        self._store = store
        self._hashes = hashes
        self._signer = signer
        self._refresh_tokens = refresh_tokens
        self._clock = clock
        self._ids = ids
        self._tokens = tokens
        self._sessions = sessions

    async def log_in(self, username: str, password: str, client: Client) -> IssuedTokens:
        """Check the password and open a session.

        Raises InvalidCredentials, in the same words and after one hash, for an unknown user, a disabled one and a wrong
        password; Overloaded if too many hashes wait.
        """
        credentials = await self._store.find_credentials(username) if is_username(username) else None
        password_hash = credentials.password_hash if credentials else None
        matches = await self._hashes.verify(password, password_hash)
        if credentials is None or password_hash is None or not matches or credentials.user.disabled:
            raise InvalidCredentials
        if self._hashes.needs_renewal(password_hash):
            renewed = await self._hashes.hash(password)
            await self._store.renew_password_hash(credentials.user.id, password_hash, renewed)
        return await self._open(credentials, client)

    async def _open(self, credentials: Credentials, client: Client) -> IssuedTokens:
        now = self._clock.now_ms()
        expires_at = now + self._sessions.max_ttl_seconds * 1000
        session = Session(
            id=self._ids.new_id(),
            user_id=credentials.user.id,
            step=0,
            created_at=now,
            stepped_at=now,
            idle_expires_at=min(now + self._sessions.idle_ttl_seconds * 1000, expires_at),
            expires_at=expires_at,
            ip=client.ip,
            user_agent=client.user_agent[:USER_AGENT_LENGTH] if client.user_agent else None,
        )
        # The user may have been disabled, or the password changed, while the hash was computed: the store looks again.
        if not await self._store.open_session(session, credentials.password_changed_at):
            raise InvalidCredentials
        return self._issue(credentials.user, session, now)

    def _issue(self, user: User, session: Session, now: int) -> IssuedTokens:
        issued_at = now // 1000
        claims = AccessClaims(
            issuer=self._tokens.issuer,
            subject=user.id,
            audience=self._tokens.audience,
            issued_at=issued_at,
            expires_at=issued_at + self._tokens.access_ttl_seconds,
            jti=self._ids.new_id(),
            session_id=session.id,
            role=user.role,
            username=user.username,
        )
        return IssuedTokens(
            session_id=session.id,
            access_token=self._signer.sign(claims),
            expires_in=self._tokens.access_ttl_seconds,
            refresh_token=self._refresh_tokens.issue(session.id, session.step),
            refresh_expires_in=max(0, session.idle_expires_at - now) // 1000,
        )
