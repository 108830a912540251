"""Reads the settings file, and says which line is wrong."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from server.files.text_file import read_text

# The messages of the parser for a repeated [section] and a repeated name.
_TABLE_AGAIN = re.compile(r"Cannot declare \((.*?),?\) twice \(at line (\d+)")
_VALUE_AGAIN = re.compile(r"Cannot overwrite a value \(at (?:line (\d+)|end of document)")


def read_toml(path: Path) -> dict[str, Any]:
    """The tree of a settings file. Raises OSError, or ValueError, whose message says what is wrong in which line."""
    try:
        text = read_text(path)
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 (byte {error.start + 1}); save it as UTF-8") from None
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("is nested too deeply to be a settings file") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(_told(text, str(error))) from None
    except ValueError:
        # Python refuses numbers of more than 4300 digits.
        raise ValueError("has a number that is too large for any setting") from None


def _told(text: str, message: str) -> str:
    """A message about an error of the parser. It quotes only names of the file, since a value may be a secret."""
    lines = text.split("\n")
    again = _TABLE_AGAIN.match(message)
    if again is not None:
        name = ".".join(part.strip().strip("'\"") for part in again[1].split(","))
        first = next((number for number, line in enumerate(lines, 1) if line.strip() == f"[{name}]"), None)
        where = f"in line {first}" if first is not None and first < int(again[2]) else "above"
        return f"line {again[2]}: [{name}] stands there already, {where}; put the settings of both under one of them"
    again = _VALUE_AGAIN.match(message)
    if again is not None:
        number = int(again[1]) if again[1] else len(lines)
        return f"line {number}: {_name_in(lines[number - 1])} is set a second time; take one of them out"
    return f"is not TOML: {message}; mend that line"


def _name_in(line: str) -> str:
    """The name that a line sets; empty if the line may be a part of a value of several lines."""
    try:
        tomllib.loads(line)
    except ValueError:
        return "what ends there"
    return line.partition("=")[0].strip()
