"""Times and devices in words."""

from __future__ import annotations

import pytest

from server.mail.rendering.words import device, isolated, moment, single_line

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
          "Version/18.0 Mobile/15E148 Safari/604.1")  # fmt: skip
EDGE = ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 "
        "Safari/537.36 Edg/142.0.0.0")  # fmt: skip


def test_a_time_is_in_utc_and_in_words() -> None:
    assert moment(0, "en") == "1 January 1970, 00:00 UTC"
    assert moment(1795858860000, "en") == "28 November 2026, 09:41 UTC"
    assert moment(1795858860000, "de") == "28. November 2026 um 09:41 Uhr (UTC)"
    assert moment(1772323199999, "de") == "28. Februar 2026 um 23:59 Uhr (UTC)"
    assert moment(1772323200000, "de") == "1. März 2026 um 00:00 Uhr (UTC)"


@pytest.mark.parametrize(
    ("agent", "en", "de"),
    [
        (FIREFOX, "Firefox on Linux", "Firefox unter Linux"),
        (SAFARI, "Safari on iPhone", "Safari unter iPhone"),
        (EDGE, "Edge on Windows", "Edge unter Windows"),
        ("curl/8.14.1", "curl", "curl"),
        ("python-requests/2.32 more", "python-requests", "python-requests"),
        ("", "unknown", "unbekannt"),
        ("Mozilla/5.0 something else", "unknown", "unbekannt"),
        ("Visit https://evil.example now/1", "unknown", "unbekannt"),
        ("okhttp/4.12.0", "okhttp", "okhttp"),
        # CWE-451: mail programs would make links of them.
        ("evil.example/1", "unknown", "unbekannt"),
        ("www.evil.example/2.0 more", "unknown", "unbekannt"),
        ("evil./1", "unknown", "unbekannt"),
        (f"{'x' * 40}/1", "unknown", "unbekannt"),
        ("a\r\nb/1", "unknown", "unbekannt"),
    ],
)
def test_a_user_agent_is_in_words_of_ours(agent: str, en: str, de: str) -> None:
    assert device(agent, "en") == en
    assert device(agent, "de") == de


def test_a_line_stays_one() -> None:
    assert single_line("a\r\nb\u2028c\u2029d\x85e\0f\ud800g\th") == "a  b c d e f g h"
    assert single_line("a\u200db\u202ec") == "a\u200dbc"
    assert isolated("lak") == "lak"
    assert isolated("\u05d0\u05d1") == "\u2068\u05d0\u05d1\u2069"
