"""Mails in a browser, which shows them as mail programs do: on a phone and a desk, in light and dark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from server.mail.model import MailKind
from server.mail.rendering.samples import samples
from tests.mail.rendering.rendered import part, rendered

if TYPE_CHECKING:
    from tests.browser.chromium import Browser

# Code, button and the longest name that there can be.
SHOWN = [(MailKind.RESET_PASSWORD, "en"), (MailKind.NEW_SIGN_IN, "de")]
# Those of Chromium. That they differ shows that a mail takes the colours of its reader.
BACKGROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 18, 18)"}


@pytest.mark.parametrize(("kind", "language"), SHOWN)
def test_a_mail_fits_and_can_be_read(browser: Browser, axe: str, tmp_path: Path, kind: MailKind, language: str) -> None:
    from tests.browser.hosted import Hosted, Screen  # noqa: PLC0415 - needs selenium

    message = rendered(kind, language, {**samples(kind)[0], "username": "w" * 128})
    file = tmp_path / "mail.html"
    file.write_text(part(message, "html"), "utf-8")
    page = Hosted(browser, "file://", Screen(360))
    page.go(file.as_uri())
    # A mail leaves its background to the mail program. axe-core would take that for white.
    page.run("document.body.style.background = 'Canvas'")
    for scheme in ("light", "dark"):
        for width in (1280, 360, 320):
            page.show_on(Screen(width, scheme=scheme))
            assert page.too_wide() == [], width
        assert page.barriers(axe, "color-contrast") == []
        assert page.run("return getComputedStyle(document.body).backgroundColor") == BACKGROUNDS[scheme]
    assert page.barriers(axe, "document-title", "html-has-lang", "link-name") == []
    assert page.run("return performance.getEntriesByType('resource').length") == 0
