"""The routes of one's own addresses, and of their confirmation."""

from __future__ import annotations

from server.authentication.errors import TooManyAttempts
from server.challenges.errors import CodeInvalid, CodeRequired
from server.core.errors import NotFound, StoreUnavailable
from server.emails import handlers
from server.emails.errors import (
    ConfirmationInvalid,
    EmailAlreadyVerified,
    EmailNotVerified,
    EmailTaken,
    TooManyEmails,
)
from server.emails.schemas import ConfirmationBody, EmailsAnswer, NewEmailBody
from server.http.route import ALWAYS, Route
from server.mail.errors import MailNotConfigured
from watchword_client.access import ANY_USER, ANYONE

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/me/emails",
        handler=handlers.list_emails,
        access=ANY_USER,
        tag="Own account",
        summary="Your e-mail addresses",
        answers={200: EmailsAnswer},
        errors=(StoreUnavailable,),
    ),
    Route(
        method="POST",
        path="/me/emails",
        handler=handlers.add_email,
        access=ANY_USER,
        tag="Own account",
        summary="Add an e-mail address, and mail to it how it is confirmed; the same answer if it is somebody else's",
        body=NewEmailBody,
        answers={202: None},
        errors=(MailNotConfigured, NotFound, TooManyEmails, TooManyAttempts, StoreUnavailable),
        recent=ALWAYS,
    ),
    Route(
        method="POST",
        path="/me/emails/{email_id}/send",
        handler=handlers.send_confirmation,
        access=ANY_USER,
        tag="Own account",
        summary="Mail again how one of your e-mail addresses is confirmed",
        answers={202: None},
        errors=(MailNotConfigured, NotFound, EmailAlreadyVerified, TooManyAttempts, StoreUnavailable),
    ),
    Route(
        method="POST",
        path="/email/confirm",
        handler=handlers.confirm_email,
        access=ANYONE,
        fixed=True,
        tag="Own account",
        summary="Confirm an e-mail address by what was mailed to it, once",
        body=ConfirmationBody,
        answers={204: None},
        errors=(ConfirmationInvalid, CodeInvalid, CodeRequired, EmailTaken, TooManyAttempts, StoreUnavailable),
    ),
    Route(
        method="DELETE",
        path="/me/emails/{email_id}",
        handler=handlers.remove_email,
        access=ANY_USER,
        tag="Own account",
        summary="Remove one of your e-mail addresses",
        answers={204: None},
        errors=(NotFound, StoreUnavailable),
        recent=ALWAYS,
    ),
    Route(
        method="POST",
        path="/me/emails/{email_id}/primary",
        handler=handlers.make_primary,
        access=ANY_USER,
        tag="Own account",
        summary="Make one of your verified e-mail addresses the primary one",
        answers={204: None},
        errors=(NotFound, EmailNotVerified, StoreUnavailable),
        recent=ALWAYS,
    ),
)
