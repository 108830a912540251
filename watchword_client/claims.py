"""The claims of an access token (RFC 9068 section 2.2, with `role` and `username`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from sys import intern
from typing import Any


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """Who calls. Times are whole seconds since the epoch (RFC 7519 section 2, NumericDate).

    `auth_time` is when the user has proved who they are, `amr` by which methods (RFC 8176 section 2). A token of an
    older Watchword has neither: then they are None and empty.
    """

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
    auth_time: int | None = None
    amr: tuple[str, ...] = ()

    def to_jwt(self) -> dict[str, Any]:
        """The claims under their names in the token."""
        members: dict[str, Any] = {
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
        if self.not_before is not None:
            members["nbf"] = self.not_before
        if self.auth_time is not None:
            members["auth_time"] = self.auth_time
        if self.amr:
            members["amr"] = list(self.amr)
        return members

    @classmethod
    def from_jwt(cls, claims: Mapping[str, Any]) -> AccessClaims:
        """From claims whose presence and types were checked. Values that many tokens have are in memory once."""
        return cls(
            issuer=intern(claims["iss"]),
            subject=claims["sub"],
            audience=intern(claims["aud"]),
            issued_at=claims["iat"],
            expires_at=claims["exp"],
            jti=claims["jti"],
            session_id=claims["sid"],
            role=intern(claims["role"]),
            username=claims["username"],
            not_before=claims.get("nbf"),
            auth_time=claims.get("auth_time"),
            amr=tuple(map(intern, claims.get("amr", ()))),
        )
