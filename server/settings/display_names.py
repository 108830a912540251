"""Checks what people will read or choose from: the name of the service, and the languages of its pages."""

from __future__ import annotations

from server.core.text import is_displayable


def shown_name(text: str) -> str:
    """The text. Raises ValueError if it has control characters or line breaks, or nothing that can be seen."""
    if not is_displayable(text) or not text.strip():
        raise ValueError("needs something that can be seen, and no control characters or line breaks")
    return text


def unlike(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names. Raises ValueError if one is there twice."""
    if len(set(names)) < len(names):
        raise ValueError("names a language twice")
    return names
