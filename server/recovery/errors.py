"""What is refused about mailed codes for signing in."""

from __future__ import annotations

from server.core.errors import ApiError


class SignInCodesOff(ApiError):
    """The setting `mail.sign_in_codes` is off."""

    status = 403
    code = "sign_in_codes_off"
    title = "No sign-in by mail"
    default_detail = "This server mails no codes to sign in with."
