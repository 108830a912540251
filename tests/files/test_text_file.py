"""What others write in a file or pipe in is read as it was meant."""

from __future__ import annotations

import codecs
import io

import pytest

from server.files.text_file import first_line

LINE = "brown otters, J\u00fcrgen"


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\r\n\r\n", "\nmore\n", "\r\nmore"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_the_first_line_is_whole_in_every_encoding(encoding: str, end: str) -> None:
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    assert first_line(io.BytesIO(mark + (LINE + end).encode(encoding))) == LINE


@pytest.mark.parametrize("data", [b"br\xf6wn", b"\xff\xfea"])
def test_what_is_in_no_such_encoding_is_refused(data: bytes) -> None:
    with pytest.raises(UnicodeDecodeError):
        first_line(io.BytesIO(data))
