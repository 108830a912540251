"""Base classes of bodies, queries and answers. The models check requests, and OpenAPI is made from them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from server.core.text import is_displayable


def one_line(text: str) -> str:
    """The text. Raises ValueError if it has control characters or line breaks."""
    if not is_displayable(text):
        raise ValueError("Control characters and line breaks are not allowed")
    return text


def flag(value: object) -> object:
    """The texts `true` and `false` of a query as booleans; other values stay as they are."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def number(value: object) -> object:
    """ASCII digits of a query as a number. Any other value stays as it is, and the model refuses it."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else value


RoleName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Password = Annotated[str, StringConstraints(max_length=4096)]
OpaqueToken = Annotated[str, StringConstraints(min_length=1, max_length=512)]
Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Input(BaseModel):
    """Input of a client, with exact types and no unknown fields."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


class PageQuery(Input):
    """Which page of a list. `limit` is how many entries it has at most."""

    limit: Annotated[int, BeforeValidator(number), Field(ge=1, le=1000)] = 1000
    cursor: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None


class Answer(BaseModel):
    """An answer of the server, with no other fields."""

    model_config = ConfigDict(extra="forbid")


class FieldError(Answer):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(BaseModel):
    """A failure (RFC 9457). `code` is stable; `errors` goes with 422, `required` and `role` with 403.

    `reason` says why a server is not ready.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldError] | None = Field(default=None)
    reason: str | None = Field(default=None)
