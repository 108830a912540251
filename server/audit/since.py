"""Reads what `--since` takes: a time of RFC 3339, or how long ago."""

from __future__ import annotations

import re

from server.core.clock import read_rfc3339

_UNITS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_AGO = re.compile(r"([0-9]{1,9})([smhdw])")


def since(text: str, now_ms: int) -> int:
    """Epoch milliseconds. Raises ValueError, whose message says what to write."""
    ago = _AGO.fullmatch(text.strip())
    if ago is not None:
        return now_ms - int(ago[1]) * _UNITS[ago[2]]
    try:
        return read_rfc3339(text.strip())
    except ValueError:
        raise ValueError(
            f"{text!a} is neither a time like 2026-11-24T08:00:00Z nor how long ago, like 90s, 30m, 24h, 7d or 2w"
        ) from None
