"""What is refused about mail."""

from __future__ import annotations

from server.core.errors import WatchwordError


class MailNotConfigured(WatchwordError):
    """The setting `mail.url` is empty, and what was asked for needs a mail."""
