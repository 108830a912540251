"""Where a record of CSV ends: a value in quotes may go on over line breaks (RFC 4180, section 2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from server.users.transfer.lines import Line

# Possessive, so no line takes longer than its length. A quote stands at both ends of a value, or doubled between them.
_BEGUN = r'"(?:[^"]++|"")*+'
_VALUE = rf'(?:{_BEGUN}"|[^",]*+)'
_LINE = re.compile(rf"(?:{_VALUE},)*+(?:{_VALUE}|(?P<begun>{_BEGUN}))")


def whole_records(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines that are a record each; a record of several lines is one line with a problem, where it began.

    Its other lines would look like records, and whoever chose the value would have written them. Where the end of a
    record can't be known, the rest of the file is one line with a problem. No value is kept meanwhile.
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
    """Whether a value goes on behind the line, which begins `within` one or not; None: the quotes are damaged."""
    if line.problem is not None:
        # As all quotes of a value are pairs, the number tells.
        return within ^ (line.quotes % 2 == 1)
    if '"' not in line.text:
        return within
    found = _LINE.fullmatch('"' + line.text if within else line.text)
    return None if found is None else found["begun"] is not None
