"""Finds the end of each CSV record, since a quoted value may have line breaks (RFC 4180, section 2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from server.users.transfer.lines import Line

# Possessive quantifiers keep the time linear. A quote is allowed at both ends of a value, or doubled within it.
_BEGUN = r'"(?:[^"]++|"")*+'
_VALUE = rf'(?:{_BEGUN}"|[^",]*+)'
_LINE = re.compile(rf"(?:{_VALUE},)*+(?:{_VALUE}|(?P<begun>{_BEGUN}))")


def whole_records(lines: Iterable[Line]) -> Iterator[Line]:
    """Each line that is a complete record. A record over several lines becomes one line with a problem, at its start.

    Otherwise the author of a value could write lines that look like records. If the end of a record is ambiguous, the
    rest of the file becomes one line with a problem. No value is held in memory.
    """
    began: int | None = None
    for line in lines:
        begun = _is_begun_behind(line, within=began is not None)
        if begun is None:
            problem = "a quote is neither around a whole value nor doubled, so no end of a record can be known"
            yield Line(began or line.number, "", f"{problem}; nothing from this line on was read")
            return
        if begun:
            began = began or line.number
        elif began is None:
            yield line
        else:
            yield Line(began, "", f"a value has a line break, up to line {line.number}; that is not taken")
            began = None
    if began is not None:
        yield Line(began, "", "a quote is never closed; nothing from this line on was read")


def _is_begun_behind(line: Line, *, within: bool) -> bool | None:
    """Whether a value goes on after this line. The line begins `within` a value or not. None for damaged quotes."""
    if line.problem is not None:
        # The quotes of a complete value are pairs, so an odd number opens or closes a value.
        return within ^ (line.quotes % 2 == 1)
    if '"' not in line.text:
        return within
    found = _LINE.fullmatch('"' + line.text if within else line.text)
    return None if found is None else found["begun"] is not None
