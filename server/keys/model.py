"""The server's own keys, as they are stored. Times are epoch milliseconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key of the server. `sealed` is its private key, encrypted under the master key.

    A key signs from `activates_at` until its successor does. Its tokens live at most `longest_ttl_seconds`. A revoked
    key neither signs nor verifies, and its `sealed` is empty. A record with the algorithm `HKDF` is a derivation key
    (derivation.py). A record with `HS256` only says since when a secret of the settings signs; the secret is not
    stored.
    """

    kid: str
    algorithm: str
    public_jwk: str
    sealed: bytes
    created_at: int
    activates_at: int
    longest_ttl_seconds: int = 0
    revoked_at: int | None = None
