"""The body of a health check's answer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from server.http.schemas import Answer


class HealthAnswer(Answer):
    """The server is well."""

    status: Literal["ok"] = Field(description="Always `ok`; a server that is not well answers with a problem")
