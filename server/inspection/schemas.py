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
    """A token to look into."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=16384)]


class InspectedTime(Answer):
    """A time among the claims, and how far away it is."""

    claim: str
    at: Timestamp
    words: str


class InspectedSignature(Answer):
    """Whether the signature holds. `kid` is what the header names, the rest is what is known of that key.

    `valid` null: there is no such key to check it by.
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
    """A token, taken apart. `reasons`: why it is refused; `routes` only for a token that is accepted.

    `now` is the server's clock, by which `exp` is judged. Header and claims are as the token has them; what JSON can't
    say again is told in words.
    """

    verdict: Literal["accepted", "token_invalid", "token_expired", "token_revoked"]
    reasons: list[str]
    now: Timestamp
    header: dict[str, Any] | None
    claims: dict[str, Any] | None
    times: list[InspectedTime]
    signature: InspectedSignature
    routes: list[InspectedRoute]
