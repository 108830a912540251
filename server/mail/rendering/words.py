"""Values of mails in the words of a language. None of them can end a line or turn the text around it."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime

_MONTHS = {
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December"),
    "de": ("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober",
           "November", "Dezember"),
}  # fmt: skip
_MOMENTS = {"en": "{day} {month} {year}, {time} UTC", "de": "{day}. {month} {year} um {time} Uhr (UTC)"}
_ON = {"en": "{browser} on {system}", "de": "{browser} unter {system}"}
_UNKNOWN_DEVICE = {"en": "unknown", "de": "unbekannt"}

# As in server/pages/files/device.js. The first that fits counts: most browsers also name those that they descend from.
_BROWSERS = (
    (r"\bEdg(?:A|iOS)?/", "Edge"), (r"\bOPR/", "Opera"), (r"\bSamsungBrowser/", "Samsung Internet"),
    (r"\bVivaldi/", "Vivaldi"), (r"\bFirefox/|\bFxiOS/", "Firefox"), (r"\bHeadlessChrome/", "Chrome"),
    (r"\bChrome/|\bCriOS/", "Chrome"), (r"\bVersion/[\d.]+ .*Safari/", "Safari"),
)  # fmt: skip
_SYSTEMS = (
    (r"\biPhone\b", "iPhone"), (r"\biPad\b", "iPad"), (r"\bAndroid\b", "Android"), (r"\bWindows\b", "Windows"),
    (r"\bCrOS\b", "ChromeOS"), (r"\bMacintosh\b", "macOS"), (r"\bLinux\b", "Linux"),
)  # fmt: skip
# Without dots: mail programs would make a link of evil.example, and whoever signs in chooses it (CWE-451).
_PROGRAM = re.compile(r"([A-Za-z][\w-]{1,30})/\d[\w.]*(?: |$)", re.ASCII)

# Controls, half characters, and what ends a line or a paragraph.
_BREAKING = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Embeddings, overrides, isolates and marks of the Unicode Bidirectional Algorithm (UAX 9, section 2).
_DIRECTIONS = dict.fromkeys((0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})


def moment(at: int, language: str) -> str:
    """A time, which is given in epoch milliseconds. It is in UTC, since nobody knows where the reader is."""
    time = datetime.fromtimestamp(at / 1000, UTC)
    month = _MONTHS[language][time.month - 1]
    return _MOMENTS[language].format(day=time.day, month=month, year=time.year, time=f"{time:%H:%M}")


def device(user_agent: str, language: str) -> str:
    """What signed in: "Firefox on Linux", the name of a program, or that it is not known.

    A user agent is a text of strangers, so nothing else of it gets into a mail.
    """
    browser, system = _first(_BROWSERS, user_agent), _first(_SYSTEMS, user_agent)
    if browser and system:
        return _ON[language].format(browser=browser, system=system)
    program = None if user_agent.startswith("Mozilla/") else _PROGRAM.match(user_agent)
    return browser or (program[1] if program else _UNKNOWN_DEVICE[language])


def _first(patterns: tuple[tuple[str, str], ...], text: str) -> str:
    return next((name for pattern, name in patterns if re.search(pattern, text)), "")


def single_line(text: str) -> str:
    """The text with a space for whatever could end a line (CWE-93), and without what turns the text around it."""
    kept = text.translate(_DIRECTIONS)
    return "".join(" " if unicodedata.category(one) in _BREAKING else one for one in kept)


def isolated(text: str) -> str:
    """A name from outside, for the middle of a sentence: one that runs from right to left leaves the rest as it is."""
    line = single_line(text)
    if any(unicodedata.bidirectional(one) in _RIGHT_TO_LEFT for one in line):
        return f"\N{FIRST STRONG ISOLATE}{line}\N{POP DIRECTIONAL ISOLATE}"
    return line
