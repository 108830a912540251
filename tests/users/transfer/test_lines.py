from __future__ import annotations

import io

import pytest

from server.core.errors import FileRefused
from server.users.transfer.lines import LINE_BYTES, Line, read_lines


def lines_of(content: bytes) -> list[Line]:
    return list(read_lines(io.BytesIO(content)))


def test_lines_keep_their_numbers_and_lose_their_ends() -> None:
    assert lines_of(b"a\r\n\n  \nb\n\r\nlast") == [Line(1, "a"), Line(4, "b"), Line(6, "last")]
    assert lines_of(b"") == []


def test_a_mark_at_the_beginning_is_no_text() -> None:
    assert lines_of(b"\xef\xbb\xbfa\n\xef\xbb\xbfb") == [Line(1, "a"), Line(2, "\ufeffb")]


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
def test_utf_16_is_refused_with_the_remedy(mark: bytes) -> None:
    with pytest.raises(FileRefused, match="UTF-16; save it as UTF-8"):
        lines_of(mark + "a".encode("utf-16-le"))


def test_what_is_not_utf_8_costs_its_line_alone() -> None:
    assert lines_of(b"a\nb\xffc\nd") == [Line(1, "a"), Line(2, "", "byte 2 of the line is not UTF-8"), Line(3, "d")]
    assert lines_of("\ud800".encode("utf-8", "surrogatepass"))[0].problem is not None


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_line_of_a_mebibyte_is_read_and_a_longer_one_is_passed_over(end: bytes) -> None:
    fits, too_long = b"x" * LINE_BYTES, b"y" * (3 * LINE_BYTES)
    found = lines_of(too_long + end + b"a" + end + fits[1:] + end + too_long)
    assert [(line.number, len(line.text)) for line in found] == [(1, 0), (2, 1), (3, LINE_BYTES - 1), (4, 0)]
    assert found[0].problem == found[3].problem == "the line is longer than 1 MiB"
