"""The messages of pages in each language: flat keys, values that people read. `{name}` in a value is a placeholder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files

PLACEHOLDER = re.compile(r"\{(\w+)\}")


def load_messages(language: str) -> dict[str, str]:
    """All messages of a language, of all its files."""
    found: dict[str, str] = {}
    for file in sorted(files(__package__).joinpath("messages").iterdir(), key=lambda file: file.name):
        if file.name == f"{language}.json" or file.name.endswith(f".{language}.json"):
            found |= json.loads(file.read_text("utf-8"))
    return found


def filled(message: str, values: Mapping[str, object]) -> str:
    """The message with its placeholders filled in. Raises KeyError if there is no value for one."""
    return PLACEHOLDER.sub(lambda found: str(values[found[1]]), message)
