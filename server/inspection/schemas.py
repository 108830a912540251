"""The body and the answer of POST /inspect."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import StringConstraints

from server.http.schemas import (
    Answer,
    Input,
    Timestamp,
)


class InspectionBody(Input):
    """The token to inspect."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=16384)]


class InspectedTime(Answer):
    """A time among the claims, and how far away it is."""

    claim: str
    at: Timestamp
    words: str


class InspectedSignature(Answer):
    """Whether the signature is valid. `kid` is the key that the header names; the other fields are about this key.

    `valid` is null if there is no such key.
    """

    valid: bool | None
    kid: str | None
    algorithm: str | None
    key_state: Literal["next", "active", "retired", "revoked"] | None


class InspectedRoute(Answer):
    """A route that the holder of the token may call."""

    method: str
    path: str
    summary: str
    access: str


class InspectionAnswer(Answer):
    """A decoded token. `reasons` says why it is refused; there are `routes` only for an accepted token.

    `now` is the time of the server, which `exp` is compared with. Header and claims are those of the token; values that
    JSON can't hold are described in words.
    """

    verdict: Literal["accepted", "token_invalid", "token_expired", "token_revoked"]
    reasons: list[str]
    now: Timestamp
    header: dict[str, Any] | None
    claims: dict[str, Any] | None
    times: list[InspectedTime]
    signature: InspectedSignature
    routes: list[InspectedRoute]
