"""The server's own keys, as they are stored. Times are epoch milliseconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key that the server keeps, its secret half sealed under the master key.

    A key that signs does so from `activates_at` until the next one of its algorithm does; tokens signed with it live
    `longest_ttl_seconds` at most. One that was revoked has lost its secret half and signs and verifies no more. The
    algorithm `HKDF` is the key that refresh and reset tokens are derived from. `HS256` only says since when a secret
    of the settings signs: the secret itself is not here.
    """

    kid: str
    algorithm: str
    public_jwk: str
    sealed: bytes
    created_at: int
    activates_at: int
    longest_ttl_seconds: int = 0
    revoked_at: int | None = None
