"""A mailed code in a body."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

# Longer than any code with its spaces and dashes.
MailedCode = Annotated[str, StringConstraints(max_length=100), Field(examples=["7KQ4-XW2M"])]
CODE_RULE = "The code of the mail; case, spaces and dashes do not count"
