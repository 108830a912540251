"""The answer of GET /.well-known/jwks.json."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


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
