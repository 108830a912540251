"""The routes of registration and invitations."""

from __future__ import annotations

from server.access.rules import ADMIN
from server.authentication.errors import TooManyAttempts
from server.core.errors import NotFound, Overloaded, StoreUnavailable
from server.emails.errors import EmailTaken
from server.http.route import Route
from server.registration import handlers
from server.registration.errors import InvalidInvitation, RegistrationClosed
from server.registration.schemas import (
    CheckedInvitationAnswer,
    InvitationBody,
    InvitationsAnswer,
    InvitationsQuery,
    InvitationTokenBody,
    NewInvitationAnswer,
    SignUpBody,
)
from server.users.errors import UsernameTaken
from server.users.schemas import OneUserAnswer
from watchword_client.access import ANYONE

_TAG = "Registration"

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/sign-up",
        handler=handlers.sign_up,
        access=ANYONE,
        fixed=True,
        tag=_TAG,
        summary="Make an account of your own, where the settings or an invitation let you",
        body=SignUpBody,
        answers={201: OneUserAnswer},
        errors=(
            RegistrationClosed,
            InvalidInvitation,
            UsernameTaken,
            EmailTaken,
            TooManyAttempts,
            Overloaded,
            StoreUnavailable,
        ),
    ),
    Route(
        method="POST",
        path="/invitations/check",
        handler=handlers.check_invitation,
        access=ANYONE,
        fixed=True,
        tag=_TAG,
        summary="Whether somebody can register with this invitation; it is not used by that",
        body=InvitationTokenBody,
        answers={200: CheckedInvitationAnswer},
        errors=(RegistrationClosed, InvalidInvitation, TooManyAttempts, Overloaded, StoreUnavailable),
    ),
    Route(
        method="POST",
        path="/invitations",
        handler=handlers.invite,
        access=ADMIN,
        tag=_TAG,
        summary="Invite people to register; the token is told only here",
        body=InvitationBody,
        answers={201: NewInvitationAnswer},
        errors=(RegistrationClosed, EmailTaken, StoreUnavailable),
        recent="to invite somebody to an admin role",
    ),
    Route(
        method="GET",
        path="/invitations",
        handler=handlers.list_invitations,
        access=ADMIN,
        tag=_TAG,
        summary="A page of invitations, the newest first",
        query=InvitationsQuery,
        answers={200: InvitationsAnswer},
        errors=(StoreUnavailable,),
    ),
    Route(
        method="DELETE",
        path="/invitations/{invitation_id}",
        handler=handlers.withdraw_invitation,
        access=ADMIN,
        tag=_TAG,
        summary="Withdraw an invitation",
        answers={204: None},
        errors=(NotFound, StoreUnavailable),
    ),
)
