"""Whether a page can be used by everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.browser.hosted import Hosted


def look_at(page: Hosted, axe: str | None, language: str) -> None:
    """On a phone and a desk, in light and dark: nothing keeps anybody from using it. Without axe, whether it fits."""
    from tests.browser.hosted import Screen  # noqa: PLC0415 - needs selenium

    assert page.run("return document.documentElement.lang") == language
    assert page.run("return document.querySelectorAll('h1').length") == 1
    for width in (1280, 360, 320):
        page.show_on(Screen(width))
        assert page.too_wide() == [], width
    if axe is None:
        return
    page.show_on(Screen(360, scheme="dark"))
    assert page.barriers(axe, "color-contrast") == []
    page.show_on(Screen(360))
    assert page.barriers(axe) == []
