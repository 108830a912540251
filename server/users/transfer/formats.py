"""Converts lines of JSON or CSV to records. A damaged line affects no other line, except damaged quotes in CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any

from server.core.errors import FileRefused
from server.users.transfer.csv_records import whole_records
from server.users.transfer.lines import Line, Record
from server.users.transfer.row import COLUMNS
from watchword_client.encoding import strict_json


def read_json_lines(lines: Iterable[Line]) -> Iterator[Record]:
    """One JSON object per line (RFC 8259). A member that is null or empty counts as absent."""
    for line in lines:
        problem, fields = line.problem, {}
        if problem is None:
            try:
                fields = _object(line.text)
            except (ValueError, RecursionError) as error:
                problem = f"the line is no JSON object ({_reason(error)})"
        yield Record(line.number, fields, problem)


def read_csv(lines: Iterable[Line]) -> Iterator[Record]:
    """CSV of RFC 4180 with a header. A record with a line break in a value is refused. An empty value counts as absent.

    Raises FileRefused for a header that can't be used.
    """
    columns: list[str] | None = None
    for line in whole_records(lines):
        problem, values = line.problem, []
        if problem is None:
            try:
                values = next(csv.reader([line.text], strict=True))
            except csv.Error as error:
                problem = f"the line is no CSV ({error})"
        if columns is None:
            columns = _header(values, problem)
            continue
        if problem is None and len(values) != len(columns):
            problem = f"the line has {len(values)} values, the header {len(columns)}"
        fields = {} if problem else {name: value for name, value in zip(columns, values, strict=True) if value}
        yield Record(line.number, fields, problem)
    if columns is None:
        raise FileRefused("the file has no header; its first line names the columns")


def _header(values: list[str], problem: str | None) -> list[str]:
    if problem is not None:
        raise FileRefused(f"the header can't be read: {problem}")
    columns = [value.strip() for value in values]
    for name in columns:
        if name not in COLUMNS:
            hint = "passwords are not taken, only their hashes: password_hash" if name == "password" else ""
            hint = hint or f"the columns, between commas, are {', '.join(COLUMNS)}"
            raise FileRefused(f"the header has an unknown column {name[:64]!r}; {hint}")
        if columns.count(name) > 1:
            raise FileRefused(f"the header has the column {name} twice")
    if "username" not in columns:
        raise FileRefused("the header has no column username")
    return columns


def _object(text: str) -> dict[str, Any]:
    value = strict_json(text)
    if isinstance(value, dict):
        return {name: member for name, member in value.items() if member not in (None, "")}
    raise ValueError("it is another value")


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"column {error.colno}: {error.msg}"
    return "too deep" if isinstance(error, RecursionError) else str(error)
