"""The failures of registration."""

from __future__ import annotations

from server.core.errors import ApiError


class RegistrationClosed(ApiError):
    """The setting `registration.mode` lets nobody register, or only those who have an invitation."""

    status = 403
    code = "registration_closed"
    title = "Registration closed"
    default_detail = 'Nobody can register here: the setting registration.mode is "closed".'


class InvalidInvitation(ApiError):
    """The invitation is unknown, used up, expired, withdrawn, or for another address."""

    status = 400
    code = "invitation_invalid"
    title = "Invalid invitation"
    default_detail = (
        "This invitation is not valid: it was used, has expired, was withdrawn, or is for another address. "
        "Ask for a new one."
    )
