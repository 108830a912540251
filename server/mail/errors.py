"""What is refused about mail."""

from __future__ import annotations

from server.core.errors import ApiError, WatchwordError


class MailNotConfigured(ApiError):
    """The setting `mail.url` is empty, and what was asked for needs a mail."""

    status = 403
    code = "mail_not_configured"
    title = "Mail not configured"
    default_detail = "This server sends no mail: the setting mail.url is empty."


class MailFailed(WatchwordError):
    """A mail could not be made. The message has neither values nor secrets."""


class TemplateFailed(MailFailed):
    """The reason is its template, or a value that is missing."""

    def __init__(self, place: str, line: int, cause: Exception) -> None:
        super().__init__(f"{place}, line {line}: {type(cause).__name__}")
        self.place = place
        self.line = line
        self.cause = cause


class MailNotRetryable(ApiError):
    """The mail was sent already, or what was in it is deleted since its time is over."""

    status = 409
    code = "mail_not_retryable"
    title = "Mail can't be tried again"
    default_detail = "This mail was sent, or its content is deleted since its links are of no use any more."
