from __future__ import annotations

import csv
import io
import itertools
import json
import time
import tracemalloc
from typing import Any

import pytest

from server.core.errors import FileRefused
from server.users.transfer.formats import read_csv, read_json_lines
from server.users.transfer.lines import LINE_BYTES, Record, read_lines


def from_json(content: str | bytes) -> list[Record]:
    raw = content.encode() if isinstance(content, str) else content
    return list(read_json_lines(read_lines(io.BytesIO(raw))))


def from_csv(content: str | bytes) -> list[Record]:
    raw = content.encode() if isinstance(content, str) else content
    return list(read_csv(read_lines(io.BytesIO(raw))))


def problem_of(record: Record) -> str:
    assert record.fields == {}
    assert record.problem is not None
    return record.problem


def test_each_json_line_is_a_record() -> None:
    found = from_json(
        '{"username": "lak", "disabled": true}\n\n {"username": "k\\u00e9", "name": null, "password_hash": ""}\r\n'
    )
    assert found == [Record(1, {"username": "lak", "disabled": True}), Record(3, {"username": "ké"})]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("nonsense", "column 1: Expecting value"),
        ('{"username": "x"', "column 17"),
        ('{"username": "x"} {}', "Extra data"),
        ('{"username": "a\0b"}', "Invalid control character"),
        ('["username"]', "another value"),
        ("12", "another value"),
        ("null", "another value"),
        ('{"disabled": NaN}', "NaN and Infinity are not JSON"),
        ('{"disabled": -Infinity}', "NaN and Infinity are not JSON"),
        ('{"a": 1, "a": 2}', "a member is there twice"),
        ("[" * 100_000, "too deep"),
        ('{"a":' * 100_000, "too deep"),
        ('{"a": ' + "9" * 5000 + "}", "digits"),
        ("{}" + " " * LINE_BYTES, "longer than 1 MiB"),
    ],
)
def test_a_line_that_is_no_json_object_says_so_and_costs_no_other(line: str, problem: str) -> None:
    before, damaged, after = from_json('{"username": "a"}\n' + line + '\n{"username": "b"}')
    assert (before.line, before.problem, after.line, after.problem) == (1, None, 3, None)
    assert damaged.line == 2
    assert problem in problem_of(damaged)
    assert problem_of(damaged).isprintable()


def test_a_header_names_the_columns_of_csv() -> None:
    found = from_csv('\ufeffusername,role,name\r\nlak,customer,"Lak, the ""first"""\r\n\r\njohn,,\r\n')
    assert found == [
        Record(2, {"username": "lak", "role": "customer", "name": 'Lak, the "first"'}),
        Record(4, {"username": "john"}),
    ]
    assert from_csv("username\n") == []


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("", "no header"),
        ("username,colour\nx,y", "unknown column 'colour'"),
        ("username;role\nx;y", "between commas"),
        ("username,password\nx,y", "only their hashes"),
        ("username,role,username", "column username twice"),
        ("role,name", "no column username"),
        ("x" * 5000, "unknown column"),
        ('"username', "can't be read"),
        ("user\0name", r"'user\x00name'"),
        (b"user\xffname", "not UTF-8"),
    ],
)
def test_a_header_that_cannot_be_used_refuses_the_file(header: str | bytes, problem: str) -> None:
    with pytest.raises(FileRefused) as refused:
        from_csv(header)
    assert problem in str(refused.value)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("lak", "the line has 1 values, the header 2"),
        ("lak,customer,more", "the line has 3 values, the header 2"),
        ("lak,cust\romer", "the line is no CSV"),
        ("lak," + "x" * 200_000, "field larger than field limit"),
        (b"l\xe4k,customer", "byte 2 of the line is not UTF-8"),
        (b'"l\xe4k","customer"', "byte 3 of the line is not UTF-8"),
        ('"lak","' + "x" * 3 * LINE_BYTES + '"', "longer than 1 MiB"),
    ],
)
def test_a_damaged_line_of_csv_costs_no_other(line: str | bytes, problem: str) -> None:
    raw = line.encode() if isinstance(line, str) else line
    before, damaged, after = from_csv(b"username,role\na,customer\n" + raw + b"\nb,customer\n")
    assert (before.fields["username"], after.fields["username"], after.line) == ("a", "b", 4)
    assert problem in problem_of(damaged)


EVIL = "evil,admin"
# As long as no read of the file takes a whole line.
LONG = "x" * (LINE_BYTES - 4) + '""' * LINE_BYTES


@pytest.mark.parametrize(
    "record",
    [
        f'lak,"x\n{EVIL}\n"',
        f'lak,"x\r\n\r\n{EVIL}\r\ny"',
        f'"\n{EVIL}\n",customer',
        f'"x""\n{EVIL}\n""","y\n{EVIL}\n"',
        f'"x","\n{EVIL}\n"""',
        f'lak,"",x,"\n{EVIL}\n"',
        f'lak,"x\n{EVIL}\n""\n{EVIL}\n"',
        f'lak,"x\n"",""\n{EVIL}\n"',
        f'lak,"{LONG}\n{EVIL}\n"',
        f'lak,"x\n{LONG}\n{EVIL}\n"',
        f'lak,"x\n{LONG}"\n'.replace("\n", f"\n{EVIL}\n", 1).rstrip(),
        f'lak,"\udcff\n{EVIL}\n"',
        f'lak,"x\n\udcff""\n{EVIL}\n"',
        f'lak,"x\n{EVIL}\n\udcff"',
    ],
)
def test_a_line_within_a_value_of_csv_is_no_record(record: str) -> None:
    raw = f"username,role\na,customer\n{record}\nb,customer\n".encode(errors="surrogateescape")
    before, damaged, after = from_csv(raw)
    assert (before.fields["username"], after.fields["username"], after.line) == ("a", "b", raw.count(b"\n"))
    assert damaged.line == 3
    assert f"line break, up to line {after.line - 1}" in problem_of(damaged)


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        (f'lak,"x\n{EVIL}\n', "never closed"),
        (f'lak,"x\n{EVIL}\n{LONG}\n{EVIL}', "never closed"),
        (f'"\n{EVIL}\n""\n{EVIL}', "never closed"),
        (f'lak, "x\n{EVIL}\n"', "neither around a whole value nor doubled"),
        (f'lak,5" pipe\n{EVIL}\n', "neither around a whole value nor doubled"),
        (f'"l"ak,x\n{EVIL}\n', "neither around a whole value nor doubled"),
        (f'lak,"x\n{EVIL}\n"y\n{EVIL}\n', "neither around a whole value nor doubled"),
    ],
)
def test_where_the_end_of_a_record_of_csv_is_unknown_nothing_more_is_read(rest: str, problem: str) -> None:
    before, damaged = from_csv("username,role\na,customer\n" + rest)
    assert (before.fields["username"], damaged.line) == ("a", 3)
    assert problem in problem_of(damaged)
    assert "nothing from this line on was read" in problem_of(damaged)


def test_every_record_that_a_writer_of_csv_makes_is_read_or_refused_as_one() -> None:
    values = ["", "x", ",", '"', "\n", '",', ',"', '"\n', '\n"', '"\n"', '\n,"x",\n', ' "']
    rows = [pair for pair in itertools.product(values, values) if pair != ("", "")]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("username", "name"), *rows])
    found = from_csv(text.getvalue())
    assert len(found) == len(rows)
    line = 2
    for record, (username, name) in zip(found, rows, strict=True):
        lines = (username + name).count("\n") + 1
        assert record.line == line
        assert (record.problem is None) == (lines == 1)
        assert record.problem or record.fields == {
            key: value for key, value in (("username", username), ("name", name)) if value
        }
        line += lines


def test_a_quote_that_is_never_closed_is_not_kept() -> None:
    class Endless(io.RawIOBase):
        """A header, and 64 MiB in a value."""

        def __init__(self) -> None:
            self.parts = itertools.chain([b'username\n"'], itertools.repeat(b"x" * 65_535 + b"\n", 1024))

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            part = next(self.parts, b"")
            buffer[: len(part)] = part
            return len(part)

    tracemalloc.start()
    try:
        (record,) = read_csv(read_lines(io.BufferedReader(Endless(), 1 << 16)))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert "never closed" in problem_of(record)


@pytest.mark.parametrize("damage", ['"' * 999_999, '"",' * 300_000 + '"x"x', ("x," * 400_000) + '"x', '"x""' * 200_001])
def test_a_line_of_quotes_and_commas_takes_no_longer_than_its_length(damage: str) -> None:
    began = time.process_time()
    assert [record.line for record in from_csv("username\n" + damage)] == [2]
    assert time.process_time() - began < 5


@pytest.mark.parametrize("value", [1, ["x"], {"x": 1}, True])
def test_values_of_other_types_are_left_to_the_check_of_the_row(value: Any) -> None:
    assert from_json(json.dumps({"username": value})) == [Record(1, {"username": value})]
