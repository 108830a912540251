"""The claims of an access token (RFC 9068 section 2.2, with `role` and `username`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """Who calls. Times are whole seconds since the epoch (RFC 7519 section 2, NumericDate)."""

    issuer: str
    subject: str
    audience: str
    issued_at: int
    expires_at: int
    jti: str
    session_id: str
    role: str
    username: str
    not_before: int | None = None

    def to_jwt(self) -> dict[str, Any]:
        """The claims under their names in the token."""
        members = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": self.audience,
            "iat": self.issued_at,
            "exp": self.expires_at,
            "jti": self.jti,
            "sid": self.session_id,
            "role": self.role,
            "username": self.username,
        }
        return members if self.not_before is None else members | {"nbf": self.not_before}

    @classmethod
    def from_jwt(cls, claims: Mapping[str, Any]) -> AccessClaims:
        """From claims whose presence and types were checked."""
        return cls(
            issuer=claims["iss"],
            subject=claims["sub"],
            audience=claims["aud"],
            issued_at=claims["iat"],
            expires_at=claims["exp"],
            jti=claims["jti"],
            session_id=claims["sid"],
            role=claims["role"],
            username=claims["username"],
            not_before=claims.get("nbf"),
        )
