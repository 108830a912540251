from __future__ import annotations

import io
import json
from typing import Any

import pytest

from server.errors import FileRefused
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
    found = from_json('{"username": "lak", "disabled": true}\n\n {"username": "k\\u00e9", "name": null}\r\n')
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
        ('lak,"customer', "unexpected end of data"),
        ('"l"ak,customer', "the line is no CSV"),
        ("lak,cust\romer", "the line is no CSV"),
        ("lak," + "x" * 200_000, "field larger than field limit"),
        (b"l\xe4k,customer", "byte 2 of the line is not UTF-8"),
    ],
)
def test_a_damaged_line_of_csv_costs_no_other(line: str | bytes, problem: str) -> None:
    raw = line.encode() if isinstance(line, str) else line
    before, damaged, after = from_csv(b"username,role\na,customer\n" + raw + b"\nb,customer\n")
    assert (before.fields["username"], after.fields["username"], after.line) == ("a", "b", 4)
    assert problem in problem_of(damaged)


@pytest.mark.parametrize("value", [1, ["x"], {"x": 1}, True])
def test_values_of_other_types_are_left_to_the_check_of_the_row(value: Any) -> None:
    assert from_json(json.dumps({"username": value})) == [Record(1, {"username": value})]
