"""The answers of the routes of keys, and a key as JSON. No private key is ever part of it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from server.core.clock import rfc3339
from server.http.schemas import Answer, Timestamp
from server.keys.keyring import Keyring, KeyState
from server.keys.rotation import WHEN_ASKED


class JwksAnswer(BaseModel):
    """A JWK Set (RFC 7517 section 5)."""

    keys: list[dict[str, Any]] = Field(
        description="The public keys (RFC 7517 section 4), each with its `kid`, `kty`, `alg` and `use`",
        examples=[
            [
                {
                    "kty": "EC",
                    "crv": "P-256",
                    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
                    "kid": "wO9CvvwVtT1cFQeiKUGInlpZAuao6qfpkDMaf9mz5qQ",
                    "use": "sig",
                    "alg": "ES256",
                }
            ]
        ],
    )


class KeyAnswer(Answer):
    """A key that signs, will sign, or has signed."""

    kid: str = Field(
        description="Its name, as in the header of tokens and in the JWKS",
        examples=["wO9CvvwVtT1cFQeiKUGInlpZAuao6qfpkDMaf9mz5qQ"],
    )
    algorithm: str = Field(description="ES256, EdDSA, RS256 or HS256", examples=["ES256"])
    state: KeyState = Field(description="What it does at this moment (docs/keys.md)")
    created_at: Timestamp = Field(description="When it was made")
    activates_at: Timestamp | None = Field(description="When it begins to sign; null: when a rotation is asked for")
    accepted_until: Timestamp | None = Field(description="When its last token has expired; null: it has no successor")
    revoked_at: Timestamp | None = Field(description="When it was revoked; null: it was not")


class KeysAnswer(Answer):
    """The keys in the order in which they sign."""

    keys: list[KeyAnswer] = Field(description="The key that signs, those before it and those after it")


def keys_json(ring: Keyring, now_ms: int) -> list[dict[str, str | None]]:
    """The keys in the form of KeyAnswer."""
    return [
        {
            "kid": record.kid,
            "algorithm": record.algorithm,
            "state": ring.state(record, now_ms).value,
            "created_at": rfc3339(record.created_at),
            "activates_at": _time(record.activates_at),
            "accepted_until": _time(ring.accepted_until(record)),
            "revoked_at": _time(record.revoked_at),
        }
        for record in ring.records
    ]


def _time(at: int | None) -> str | None:
    return None if at is None or at >= WHEN_ASKED else rfc3339(at)
