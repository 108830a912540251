"""The commands that there are."""

from __future__ import annotations

from server.cli.commands import COMMANDS, load


def command_names() -> list[str]:
    names = []
    for name in COMMANDS:
        inner = getattr(load(name), "commands", None)
        names += [f"{name} {part}" for part in inner] if inner else [name]
    return names
