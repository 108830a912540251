"""The tokens that a client gets with a login and with each refresh."""

from __future__ import annotations

from dataclasses import dataclass

from server.core.ids import Ids
from server.keys.signer import Signer
from server.sessions.model import UserSession
from server.sessions.refresh_token import RefreshTokens
from server.settings.tree import TokenSettings
from watchword_client.claims import AccessClaims


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """The tokens of a client after a login or a refresh. Their lives are in seconds."""

    access_token: str
    expires_in: int
    refresh_token: str
    refresh_expires_in: int


class TokenIssuer:
    """Makes the tokens of a session as it is now."""

    def __init__(self, signer: Signer, refresh_tokens: RefreshTokens, ids: Ids, settings: TokenSettings) -> None:
        self._signer = signer
        self._refresh_tokens = refresh_tokens
        self._ids = ids
        self._settings = settings

    def issue(self, found: UserSession, now: int) -> IssuedTokens:
        """An access token and the unused refresh token of the session. `now` is in epoch milliseconds."""
        session = found.session
        issued_at = now // 1000
        # No token outlives its session.
        expires_at = max(issued_at + 1, min(issued_at + self._settings.access_ttl_seconds, session.expires_at // 1000))
        claims = AccessClaims(
            issuer=self._settings.issuer,
            subject=session.user_id,
            audience=self._settings.audience,
            issued_at=issued_at,
            expires_at=expires_at,
            # Its time must not be before the last change of the role, or the token would count as revoked.
            jti=self._ids.new_id(max(now, found.role_changed_at)),
            session_id=session.id,
            role=found.role,
            username=found.username,
            auth_time=session.authenticated_at // 1000,
            amr=session.amr,
        )
        return IssuedTokens(
            access_token=self._signer.sign(claims),
            expires_in=expires_at - issued_at,
            refresh_token=self._refresh_tokens.issue(session.id, session.step),
            refresh_expires_in=max(0, session.idle_expires_at - now) // 1000,
        )
