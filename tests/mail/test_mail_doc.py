"""docs/mail.md has all mails and what their templates find."""

from __future__ import annotations

import re
from pathlib import Path

from server.mail.model import MailKind
from server.mail.rendering.samples import samples
from server.mail.rendering.templates import COMMON, shown_values

TEXT = (Path(__file__).parents[2] / "docs" / "mail.md").read_text("utf-8")


def rows(after: str) -> dict[str, str]:
    """The rows of the table behind that line, by their first cell."""
    table = TEXT.partition(after)[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| `([\w-]+)` \| (.*)\|$", table, re.MULTILINE))


def test_every_mail_has_a_row() -> None:
    assert list(rows("| name | to | when | it holds |")) == list(MailKind)


def test_every_value_of_a_template_is_named() -> None:
    named = {name: set(re.findall(r"`(\w+)`", values)) for name, values in rows("| mail | values |").items()}
    for kind in MailKind:
        found = set(shown_values(samples(kind)[0], language="en", service="", origin="")) - set(COMMON)
        assert named.get(kind, set()) == found
