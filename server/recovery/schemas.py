"""Bodies and answers about forgotten passwords and mailed codes."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from server.challenges.schemas import CODE_RULE, MailedCode
from server.core.errors import InvalidRequest
from server.http.schemas import Answer, Input, OpaqueToken
from server.recovery.model import ChallengeCode, Link, NamedCode
from server.users.schemas import NewPassword

_CHALLENGE = "019aa7d3-4e2a-7b61-8f05-1c9d3e7a5b42"
_LINK = "wws_q3VnT5xJr0sYb8KdLw2Zc7HfPm9Ae4Ug6Ni1RtXoSvE"
_RESET = "wwf_Zc7HfPm9Ae4Ug6Ni1RtXoSvEq3VnT5xJr0sYb8KdLw2"

# Keyboards of phones add spaces, and nobody is told that a name is nobody's.
Identifier = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=320),
    Field(examples=["lak", "lak@example.com"]),
]


class IdentifierBody(Input):
    """Whose account it is."""

    identifier: Identifier = Field(description="The username, or an address that is verified")


class PasswordResetBody(Input):
    """The new password, and what shows that somebody may set it: a reset token, or a mailed code."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"reset_token": _RESET, "new_password": "brown otters juggle turnips"},
                {"identifier": "lak", "code": "7KQ4-XW2M", "new_password": "brown otters juggle turnips"},
            ]
        }
    )

    reset_token: OpaqueToken | None = Field(
        default=None,
        description="The token of a mailed link, or one that an admin or a command has made",
        examples=[_RESET],
    )
    identifier: Identifier | None = Field(
        default=None, description="Without a token: what the mail was asked for with, a username or a verified address"
    )
    code: MailedCode | None = Field(
        default=None,
        description=f"{CODE_RULE}. Needed without a token, and with a mailed one outside of the browser that asked",
    )
    new_password: NewPassword

    def proof(self, browser: str | None) -> Link | NamedCode:
        """What the caller has. `browser` is the value of the browser cookie. Raises InvalidRequest."""
        if self.reset_token is not None:
            if self.identifier is not None:
                raise InvalidRequest([("identifier", "Send this, or a reset token, and not both.")])
            return Link(self.reset_token, self.code, browser)
        if self.identifier is None:
            raise InvalidRequest([("reset_token", "This field is required, unless there are identifier and code.")])
        if self.code is None:
            raise InvalidRequest([("code", "This field is required without a reset token.")])
        return NamedCode(self.identifier, self.code)


class ChallengeAnswer(Answer):
    """What the code belongs to that is mailed now, if there is such an account."""

    challenge: str = Field(description="Send it with the code to `POST /login/code/confirm`", examples=[_CHALLENGE])


class CodeLoginBody(Input):
    """A mailed code with its challenge, or the token of the mailed link."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"challenge": _CHALLENGE, "code": "7KQ4-XW2M"}, {"token": _LINK}]}
    )

    challenge: Annotated[str, StringConstraints(max_length=100)] | None = Field(
        default=None, description="The answer to `POST /login/code`", examples=[_CHALLENGE]
    )
    token: OpaqueToken | None = Field(default=None, description="The token of the mailed link", examples=[_LINK])
    code: MailedCode | None = Field(
        default=None, description=f"{CODE_RULE}. The link needs it outside of the browser that asked"
    )
    cookie: bool = Field(
        default=False, description="True: the refresh token goes into a cookie that no script can read, for browsers"
    )

    def proof(self, browser: str | None) -> Link | ChallengeCode:
        """What the caller has. `browser` is the value of the browser cookie. Raises InvalidRequest."""
        if self.token is not None:
            if self.challenge is not None:
                raise InvalidRequest([("challenge", "Send this, or a token, and not both.")])
            return Link(self.token, self.code, browser)
        if self.challenge is None:
            raise InvalidRequest([("challenge", "This field is required, unless there is a token.")])
        if self.code is None:
            raise InvalidRequest([("code", "This field is required with a challenge.")])
        return ChallengeCode(self.challenge, self.code)
