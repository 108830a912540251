"""The body and the answer of POST /inspect."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from server.http.schemas import (
    Answer,
    Input,
    Timestamp,
)

_KID = "wO9CvvwVtT1cFQeiKUGInlpZAuao6qfpkDMaf9mz5qQ"
_HEADER = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9"
_PAYLOAD = "eyJzdWIiOiIwMTlhYTdkMC0zZjFjLTdhNTgtYjJlNC02ZDljMGY1YTFiMzciLCJyb2xlIjoiY3VzdG9tZXIifQ"


class InspectionBody(Input):
    """The token to inspect."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=16384)] = Field(
        description="Whatever should be an access token", examples=[f"{_HEADER}.{_PAYLOAD}.c2lnbmF0dXJl"]
    )


class InspectedTime(Answer):
    """A time among the claims, and how far away it is."""

    claim: str = Field(description="`iat`, `nbf`, `exp` or `auth_time`", examples=["exp"])
    at: Timestamp = Field(description="The time")
    words: str = Field(description="How far away that is", examples=["in 4 minutes 57 seconds"])


class InspectedSignature(Answer):
    """Whether the signature is valid, and the key that the header names."""

    valid: bool | None = Field(description="Null if there is no such key", examples=[True])
    kid: str | None = Field(description="The id of the key, from the header", examples=[_KID])
    algorithm: str | None = Field(description="The algorithm of that key", examples=["ES256"])
    key_state: Literal["next", "active", "retired", "revoked"] | None = Field(
        description="The state of that key", examples=["active"]
    )


class InspectedRoute(Answer):
    """A route that the holder of the token may call."""

    method: str = Field(description="The method of the route", examples=["GET"])
    path: str = Field(description="Its path", examples=["/me"])
    summary: str = Field(description="What it does", examples=["Your account"])
    access: str = Field(description="Who may call it", examples=["any user"])


class InspectionAnswer(Answer):
    """A decoded token. Header and claims are those of the token; what JSON can't hold is described in words."""

    verdict: Literal["accepted", "token_invalid", "token_expired", "token_revoked"] = Field(
        description="`accepted`, or the code that a request with this token gets"
    )
    reasons: list[str] = Field(
        description="Why it is refused, the gravest first; empty if it is accepted", examples=[[]]
    )
    now: Timestamp = Field(description="The time of the server, which `exp` is compared with")
    header: dict[str, Any] | None = Field(
        description="The header; null if it can't be read", examples=[{"alg": "ES256", "kid": _KID, "typ": "at+jwt"}]
    )
    claims: dict[str, Any] | None = Field(
        description="The claims; null if they can't be read",
        examples=[
            {"iss": "watchword", "sub": "019aa7d0-3f1c-7a58-b2e4-6d9c0f5a1b37", "exp": 1795613800, "role": "customer"}
        ],
    )
    times: list[InspectedTime] = Field(description="The claims that are times")
    signature: InspectedSignature = Field(description="Whether the signature is valid, and the key")
    routes: list[InspectedRoute] = Field(description="The routes that it may call; only of an accepted token")
