"""The commands `mail …`."""

from __future__ import annotations

from server.cli.command import Commands
from server.mail.outbox_commands import list_mails, retry
from server.mail.rendering.preview import preview
from server.mail.transport.trying_out import send_test

app = Commands("Look at mails, and after those that wait.\n\nExample: mail preview reset-password")
app.command()(preview)
app.command("test")(send_test)
app.command("list")(list_mails)
app.command("retry")(retry)
