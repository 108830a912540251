"""The routes of accounts."""

from __future__ import annotations

from server.access.rules import ADMIN
from server.authentication.errors import InvalidCredentials, TooManyAttempts
from server.core.errors import NotFound, Overloaded, StoreUnavailable
from server.emails.errors import EmailTaken
from server.http.route import ALWAYS, Route
from server.users import handlers
from server.users.errors import LastAdmin, UsernameTaken
from server.users.schemas import (
    NewUserAnswer,
    NewUserBody,
    OneUserAnswer,
    PasswordBody,
    ProfileBody,
    ResetTokenAnswer,
    UserChangeBody,
    UsersAnswer,
    UsersQuery,
)
from watchword_client.access import ANY_USER

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/me",
        handler=handlers.get_me,
        access=ANY_USER,
        tag="Own account",
        summary="Your account",
        answers={200: OneUserAnswer},
        errors=(NotFound, StoreUnavailable),
    ),
    Route(
        method="PATCH",
        path="/me",
        handler=handlers.update_me,
        access=ANY_USER,
        tag="Own account",
        summary="Change your display name",
        body=ProfileBody,
        answers={200: OneUserAnswer},
        errors=(NotFound, StoreUnavailable),
    ),
    Route(
        method="POST",
        path="/me/password",
        handler=handlers.change_password,
        access=ANY_USER,
        tag="Own account",
        summary="Change your password; all your other sessions end",
        body=PasswordBody,
        answers={204: None},
        errors=(InvalidCredentials, TooManyAttempts, NotFound, Overloaded, StoreUnavailable),
        recent=ALWAYS,
    ),
    Route(
        method="GET",
        path="/users",
        handler=handlers.list_users,
        access=ADMIN,
        summary="A page of users",
        query=UsersQuery,
        answers={200: UsersAnswer},
        errors=(StoreUnavailable,),
    ),
    Route(
        method="POST",
        path="/users",
        handler=handlers.create_user,
        access=ADMIN,
        summary="Make a user; without a password, with a token to set one",
        body=NewUserBody,
        answers={201: NewUserAnswer},
        headers={"Location": "The path of the new user"},
        errors=(UsernameTaken, EmailTaken, Overloaded, StoreUnavailable),
        recent="to make a user with an admin role",
    ),
    Route(
        method="GET",
        path="/users/{user_id}",
        handler=handlers.get_user,
        access=ADMIN,
        summary="One user",
        answers={200: OneUserAnswer},
        errors=(NotFound, StoreUnavailable),
    ),
    Route(
        method="PATCH",
        path="/users/{user_id}",
        handler=handlers.update_user,
        access=ADMIN,
        summary="Change a user's names, address or role, or disable the user",
        body=UserChangeBody,
        answers={200: OneUserAnswer},
        errors=(NotFound, LastAdmin, UsernameTaken, EmailTaken, StoreUnavailable),
        recent="to change the address or a role to or from an admin role, or to enable a user with one",
    ),
    Route(
        method="DELETE",
        path="/users/{user_id}",
        handler=handlers.delete_user,
        access=ADMIN,
        summary="Delete a user",
        answers={204: None},
        errors=(NotFound, LastAdmin, StoreUnavailable),
        recent=ALWAYS,
    ),
    Route(
        method="POST",
        path="/users/{user_id}/password-reset",
        handler=handlers.make_reset_token,
        access=ADMIN,
        summary="A token with which the user can set a new password, once",
        answers={200: ResetTokenAnswer},
        errors=(NotFound, StoreUnavailable),
        recent=ALWAYS,
    ),
)
