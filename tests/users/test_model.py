from __future__ import annotations

import pytest

from server.core.text import is_displayable


@pytest.mark.parametrize("name", ["Lak", "Zoë Müller-Lüdenscheidt", "山田 太郎", "👩‍💻 dev", "O'Neil", ""])
def test_names_of_people(name: str) -> None:
    assert is_displayable(name)


@pytest.mark.parametrize("character", ["\n", "\r", "\0", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\ud800"])
def test_what_would_break_a_line_is_no_name(character: str) -> None:
    assert not is_displayable(f"Lak{character}")
