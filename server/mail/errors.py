"""What is refused about mail."""

from __future__ import annotations

from server.core.errors import WatchwordError


class MailNotConfigured(WatchwordError):
    """The setting `mail.url` is empty, and what was asked for needs a mail."""


class MailFailed(WatchwordError):
    """A mail could not be made. The message has neither values nor secrets."""


class TemplateFailed(MailFailed):
    """The reason is its template, or a value that is missing."""

    def __init__(self, place: str, line: int, cause: Exception) -> None:
        super().__init__(f"{place}, line {line}: {type(cause).__name__}")
        self.place = place
        self.line = line
        self.cause = cause
