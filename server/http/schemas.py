"""Base classes of bodies, queries and answers. The models check requests, and OpenAPI is made from them.

Every field has a `description`. A text that is no time and no choice among a few also has `examples`, here with its
type or at the field: the documents show bodies made of them (documents/examples.py).
"""

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


def whole(value: object) -> object:
    """A number of JSON without a fraction as an integer. There is one kind of numbers in JSON, and 60.0 is 60."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


RoleName = Annotated[str, StringConstraints(min_length=1, max_length=64), Field(examples=["customer"])]
Password = Annotated[str, StringConstraints(max_length=4096), Field(examples=["brown otters juggle turnips"])]
# As long as an access token may be, so one that is sent in its place is told that it is the wrong kind.
OpaqueToken = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
# The constraints come first: they are those of the number, not of the text that it was.
Limit = Annotated[int, Field(ge=1, le=200), BeforeValidator(number)]
Cursor = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100),
    Field(examples=["MDE5YWE3ZDAtM2YxYy03YTU4LWIyZTQtNmQ5YzBmNWExYjM3"]),
]

CURSOR = "`next_cursor` of the page before; without it the list begins"
NEXT_CURSOR = "Send it as `cursor` to get the next page; null on the last page"


class Input(BaseModel):
    """Input of a client, with exact types and no unknown fields."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


class PageQuery(Input):
    """Which page of a list."""

    limit: Annotated[int, Field(ge=1, le=1000), BeforeValidator(number)] = Field(
        default=1000, description="How many entries the page has at most"
    )
    cursor: Cursor | None = Field(default=None, description=CURSOR)


class Answer(BaseModel):
    """An answer of the server, with no other fields."""

    model_config = ConfigDict(extra="forbid")


class FieldError(Answer):
    """What is wrong with one field."""

    field: str = Field(description="Name of the field; `body` or `query` for the whole", examples=["name"])
    message: str = Field(
        description="What is wrong with it, a sentence for people", examples=["This field is required."]
    )


class Problem(BaseModel):
    """A failure (RFC 9457). Other members depend on `code`, such as `required` and `role` of `insufficient_role`."""

    type: str = Field(description="Leads to the description of `code`", examples=["/docs#not_found"])
    title: str = Field(description="The code in words, always the same", examples=["Not found"])
    status: int = Field(description="The status of the answer", examples=[404])
    detail: str = Field(description="What happened this time, for people", examples=["There is nothing here."])
    code: str = Field(description="What happened, for programs: it stays the same", examples=["not_found"])
    request_id: str = Field(
        description="The `X-Request-Id` of this answer, which the server's log has too",
        examples=["6c1f0a6f2b9be1d7aa-1c"],
    )
    errors: list[FieldError] | None = Field(default=None, description="With status 422: what is wrong with which field")
    reason: str | None = Field(
        default=None,
        description="With status 503, and of a refresh: why, as a word for programs",
        examples=["store_moving"],
    )
