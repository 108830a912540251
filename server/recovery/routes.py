"""The routes of forgotten passwords, and of signing in by a mailed code."""

from __future__ import annotations

from server.authentication.errors import EmailNotConfirmed, TooManyAttempts
from server.challenges.errors import CodeInvalid, CodeRequired
from server.core.errors import Overloaded, StoreUnavailable
from server.http.errors import CsrfRefused
from server.http.route import Route
from server.mail.errors import MailNotConfigured
from server.recovery import handlers
from server.recovery.errors import SignInCodesOff
from server.recovery.schemas import ChallengeAnswer, CodeLoginBody, IdentifierBody, PasswordResetBody
from server.sessions.schemas import TokenAnswer
from server.users.errors import InvalidResetToken
from watchword_client.access import ANYONE

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/login/code",
        handler=handlers.ask_for_code,
        access=ANYONE,
        fixed=True,
        tag="Sessions",
        summary="Ask for a mail with a code to sign in with; the answer is the same for every name",
        body=IdentifierBody,
        answers={202: ChallengeAnswer},
        errors=(MailNotConfigured, SignInCodesOff, TooManyAttempts, Overloaded, StoreUnavailable),
    ),
    Route(
        method="POST",
        path="/login/code/confirm",
        handler=handlers.log_in_with_code,
        access=ANYONE,
        fixed=True,
        tag="Sessions",
        summary="Log in with a mailed code or link, once",
        body=CodeLoginBody,
        answers={200: TokenAnswer},
        errors=(
            CodeInvalid,
            CodeRequired,
            EmailNotConfirmed,
            MailNotConfigured,
            SignInCodesOff,
            TooManyAttempts,
            CsrfRefused,
            Overloaded,
            StoreUnavailable,
        ),
    ),
    Route(
        method="POST",
        path="/password/forgot",
        handler=handlers.forgot_password,
        access=ANYONE,
        fixed=True,
        tag="Own account",
        summary="Ask for a mail with which a new password can be set; the answer is the same for every name",
        body=IdentifierBody,
        answers={202: None},
        errors=(MailNotConfigured, TooManyAttempts, Overloaded, StoreUnavailable),
    ),
    Route(
        method="POST",
        path="/password/reset",
        handler=handlers.reset_password,
        access=ANYONE,
        fixed=True,
        tag="Own account",
        summary="Set a new password with a reset token or a mailed code, once",
        body=PasswordResetBody,
        answers={204: None},
        errors=(InvalidResetToken, CodeInvalid, CodeRequired, TooManyAttempts, Overloaded, StoreUnavailable),
    ),
)
