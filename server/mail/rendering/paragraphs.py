"""What a rendered text template says: a subject, and paragraphs, some of which hold the link or the code."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

SUBJECT = "Subject:"
# RFC 5322 section 2.1.1 asks for at most 78 characters; a reply puts "> " in front, more than once.
_WIDTH = 72
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Its `lines` are those that are only text. A link has the words of the line before it as its `button`."""

    lines: tuple[str, ...]
    button: str = ""
    link: str = ""
    code: str = ""


def subject_and_body(rendered: str) -> tuple[str, str]:
    """The words after `Subject:` in the first line, and what follows. "" for a subject that is missing."""
    first, _, body = rendered.strip().partition("\n")
    if not first.startswith(SUBJECT):
        return "", rendered
    return first.removeprefix(SUBJECT).strip(), body.strip()


def paragraphs_of(body: str, *, link: str, code: str) -> Sequence[Paragraph]:
    """The parts of the text between blank lines. A last line that is only the link, or the code, is told apart."""
    return [_paragraph(part.splitlines(), link, code) for part in _BLANK_LINES.split(body) if part.strip()]


def _paragraph(lines: list[str], link: str, code: str) -> Paragraph:
    *before, last = (line.strip() for line in lines)
    if code and last == code:
        return Paragraph(tuple(before), code=code)
    if link and last == link:
        words = before.pop().removesuffix(":") if before else link
        return Paragraph(tuple(before), button=words, link=link)
    return Paragraph((*before, last))


def wrapped(body: str) -> str:
    """The text in lines that are not too long. Words that are longer, such as links, stay whole."""
    lines = (
        textwrap.wrap(line, _WIDTH, break_long_words=False, break_on_hyphens=False) or [""]
        for line in body.splitlines()
    )
    return "\n".join(line for some in lines for line in some)
