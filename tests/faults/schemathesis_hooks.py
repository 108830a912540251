"""What schemathesis is told beside the OpenAPI document: who calls, and what a schema can't say.

schemathesis loads this by SCHEMATHESIS_HOOKS; tests/faults/test_described.py starts it.
"""

from __future__ import annotations

import os
from typing import Any

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import AllowHeaderMismatch, RejectedPositiveData

from tests.calling import Caller
from tests.running import PASSWORD

_SERVER = Caller(os.environ["FUZZED_ADDRESS"])
_ROLE = os.environ["FUZZED_ROLE"]
# So many users of the role have to be there.
CALLERS = 40
_LINKS = (
    ("/me/emails", "emails", "email_id", ("remove_email", "make_primary", "send_confirmation")),
    ("/mails", "mails", "mail_id", ("retry_mail",)),
    ("/invitations", "invitations", "invitation_id", ("withdraw_invitation",)),
    ("/me/sessions", "sessions", "session_id", ("end_my_session",)),
    ("/keys", "keys", "kid", ("revoke",)),
)
_WITHOUT_BODY = {"/logout", "/refresh"}
_ENDING = {"/logout", "/me/password", "/password/reset"}

# A request that is good by its schema may be refused with these: whether the value is somebody's, only the store says.
_OF_THE_STORE = {
    "invalid_credentials": "the password is another one",
    "code_invalid": "no such code was mailed",
    "invitation_invalid": "there is no such invitation",
    "confirmation_invalid": "no such link was mailed",
    "reset_invalid": "there is no such reset token",
    "session_conflict": "the refresh token is of another session than the bearer token, which every request has here",
}
# And with 422 for these fields, each for rules in the words of its description.
_OF_A_FIELD = {
    "cursor": "it is opaque, and only what a page has named is one",
    "role": "one of the roles in the settings",
    "email": "the rules of RFC 5321 and IDNA for the parts of an address",
    "username": "RFC 8265: what may not stand in a name is not a list of characters",
    "name": "one line: no control characters",
    "q": "the same",
    "actor": "the same",
    "target": "the same",
    "password": "the policy for passwords: no common words, names, rows of keys",
    "new_password": "the same",
    "token": "or else address and code",
    "code": "with an address or a challenge; besides, it is white space and letters that look alike that are ignored",
    "identifier": "or else a reset token",
    "reset_token": "or else identifier and code",
    "challenge": "or else a token",
    "uses": "one, if the invitation is for an address",
    "path": "begins with a slash",
    "from": "a time of RFC 3339, of which the day has to exist",
    "to": "the same",
}


class SomeUser:
    """A user of that role. What schemathesis finds may end the session or the user; then there is another one."""

    token = ""
    number = 0

    def get(self, case: schemathesis.Case[Any], context: schemathesis.AuthContext) -> str:
        """A token."""
        del case, context
        while not SomeUser.token:
            body = {"username": f"{_ROLE}{SomeUser.number}", "password": PASSWORD}
            status, answer = _SERVER.call("POST", "/login", body)
            if status == 200:
                SomeUser.token = answer["token"]
            else:
                SomeUser.number += 1
                assert SomeUser.number < CALLERS, answer
        return SomeUser.token

    def set(self, case: schemathesis.Case[Any], data: str, context: schemathesis.AuthContext) -> None:
        """Send it."""
        del context
        case.headers["Authorization"] = f"Bearer {data}"


if _ROLE != "nobody":
    schemathesis.auth(refresh_interval=None)(SomeUser)


@schemathesis.hook
def before_load_schema(context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Links from lists to what takes an id of them, where schemathesis does not see by itself that it is one."""
    del context
    for path, member, parameter, operations in _LINKS:
        answer = raw_schema["paths"][path]["get"]["responses"]["200"]
        answer["links"] = {
            operation: {
                "operationId": operation,
                "parameters": {parameter: f"$response.body#/{member}/0/id"},
            }
            for operation in operations
        }


@schemathesis.hook
def after_call(
    context: schemathesis.HookContext, case: schemathesis.Case[Any], response: schemathesis.Response
) -> None:
    """Whatever was answered so may mean that the session is over."""
    del context
    if response.status_code == 401 or (case.path in _ENDING and response.status_code == 204):
        SomeUser.token = ""


@schemathesis.hook
def filter_failure(
    context: schemathesis.HookContext,
    failure: Exception,
    case: schemathesis.Case[Any],
    response: schemathesis.Response,
) -> bool:
    """Whether it is one: False for what no schema can say."""
    del context
    if isinstance(failure, AllowHeaderMismatch):
        # The last part of the path is also what DELETE takes as the id of an invitation.
        return case.path != "/invitations/check"
    if isinstance(failure, AcceptedNegativeData) and case.path in _WITHOUT_BODY:
        # White space alone is no body, and there it may be left out (server/http/body.py).
        sent = response.request.body
        return not isinstance(sent, bytes | str) or bool(sent.strip())
    if not isinstance(failure, RejectedPositiveData):
        return True
    problem = response.json()
    if problem["code"] != "invalid_request":
        return problem["code"] not in _OF_THE_STORE
    return not {error["field"] for error in problem["errors"]} <= set(_OF_A_FIELD)
