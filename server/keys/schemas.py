"""The answer of GET /.well-known/jwks.json."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class JwksAnswer(BaseModel):
    """A JWK Set (RFC 7517 section 5)."""

    keys: list[dict[str, Any]]
