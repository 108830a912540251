"""Loads the settings: the environment overrides the TOML file, and the file overrides the defaults.

pydantic-settings is not used. It ignores a misspelt WATCHWORD__SERVER__PROT, has no `_FILE`, and takes the string
"8080" in a file for a number. Here every unknown name is an error, and the tree is validated once and strictly, so all
problems are reported at the same time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from server.core.errors import ConfigurationError
from server.settings.environment import PREFIX, Tree, apply_environment
from server.settings.expected_values import what_it_takes
from server.settings.similar_names import dotted, what_is_similar
from server.settings.sources import Source
from server.settings.stray_characters import texts_with_stray_characters
from server.settings.toml_file import read_toml
from server.settings.tree import Settings, default_roles, setting_names

DEFAULT_FILE = "config.toml"
ON_COMMAND_LINE = "the command line"

# The deepest setting: roles, a role, its `includes`, and a name in it.
_DEEPEST = 4
_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings, and their sources.

    `file` is the absolute path of the settings file, or None. `ignored` has the variables that look like settings but
    were made by a container host. `origins` says where the value of each setting comes from that was given: the path of
    the file, the name of the variable, or the command line.
    """

    settings: Settings
    file: Path | None
    ignored: tuple[str, ...]
    origins: Mapping[str, str] = field(default_factory=dict)
    # The settings as JSON, with all secrets, from which `settings_of_json` makes the same again in another process.
    as_json: str = field(default="", repr=False)


def load_settings(
    path: Path | None = None, environment: Mapping[str, str] = os.environ, given: Mapping[str, Any] | None = None
) -> LoadedSettings:
    """Read the settings. Raises ConfigurationError with all problems.

    `path` None means config.toml in the working directory, which may be missing. `given` has the settings of the
    command line by their names, as `server.port`; they override all others.
    """
    problems: list[str] = []
    try:
        chosen = (path if path is not None else Path(DEFAULT_FILE)).absolute()
    except FileNotFoundError:
        raise ConfigurationError(["the working directory is not there any more; change to another one"]) from None
    found = _from_file(chosen, problems, needed=path is not None)
    tree = found or {}
    origins = dict.fromkeys(_names(tree), str(chosen))
    ignored, variables = apply_environment(tree, environment, problems)
    origins |= variables
    for name, value in (given or {}).items():
        section, _, key = name.partition(".")
        tree.setdefault(section, {})
        _section(tree, section)[key] = value
        origins[name] = ON_COMMAND_LINE
    tree = _as_json(tree)
    problems += texts_with_stray_characters(tree)
    if isinstance(tree.get("roles"), dict):
        tree["roles"] = {name: role.model_dump() for name, role in default_roles().items()} | tree["roles"]
    # Validated as JSON: in strict mode a JSON list may become a tuple, but "8080" never becomes a number.
    text = json.dumps(tree, ensure_ascii=False).encode("utf-8", "replace").decode("utf-8")
    settings = _validate(text, problems)
    if settings is None or problems:
        raise ConfigurationError(problems)
    sources = {name: _source(origin) for name, origin in origins.items()}
    as_json = json.dumps({"settings": text, "sources": sources})
    return LoadedSettings(settings.from_sources(sources), None if found is None else chosen, ignored, origins, as_json)


def settings_of_json(text: str) -> Settings:
    """The settings of `LoadedSettings.as_json`."""
    told = json.loads(text)
    return Settings.model_validate_json(told["settings"], strict=True).from_sources(told["sources"])


def _source(origin: str) -> Source:
    if origin == ON_COMMAND_LINE:
        return "command line"
    return "environment" if origin.upper().startswith(PREFIX) else "file"


def _section(tree: Tree, name: str) -> Tree:
    section = tree.get(name)
    return section if isinstance(section, dict) else {}


def _names(tree: Tree) -> list[str]:
    """The settings that stand in a file, named as in `setting_names`."""
    known = setting_names()
    return [name for name in known if name in tree or name.partition(".")[2] in _section(tree, name.partition(".")[0])]


def _from_file(path: Path, problems: list[str], *, needed: bool) -> Tree | None:
    """The tree of the file; None if there is no file."""
    try:
        return read_toml(path)
    except FileNotFoundError:
        if path.is_symlink():
            problems.append(f"{path}: is a link to a file that is not there; mend the link, or remove it")
        elif needed:
            problems.append(f"{path}: there is no such file; give --config another path")
    except OSError as error:
        problems.append(f"{path}: can't be read ({error.strerror}); check the path and its permissions")
    except ValueError as error:
        problems.append(f"{path}: {error}")
    return None


def _as_json(value: Any, depth: int = 0) -> Any:
    """The value for JSON. Dates, very large numbers and too deep nesting become null, which no setting takes."""
    if isinstance(value, dict) and depth < _DEEPEST:
        return {name: _as_json(part, depth + 1) for name, part in value.items()}
    if isinstance(value, list) and depth < _DEEPEST:
        return [_as_json(part, depth + 1) for part in value]
    if isinstance(value, str) or (isinstance(value, int | float) and abs(value) <= _LARGEST):
        return value
    return None


def _validate(text: str, problems: list[str]) -> Settings | None:
    try:
        return Settings.model_validate_json(text, strict=True)
    except ValidationError as error:
        for part in error.errors(include_input=False, include_url=False):
            problems.extend(_lines(part["type"], part["loc"], part["msg"]))
    return None


def _lines(kind: str, location: tuple[int | str, ...], message: str) -> list[str]:
    name = dotted(step for step in location if isinstance(step, str))
    if kind == "extra_forbidden":
        remedy = "a role has includes, and nothing else" if name.startswith("roles.") else what_is_similar(name)
        return [f"{name}: there is no such setting; {remedy}"]
    message = message.removeprefix("Value error, ")
    if kind != "value_error":
        told = what_it_takes(location)
        return [f"{name}: {told or f'{message[0].lower()}{message[1:]}; docs/settings.md tells what it takes'}"]
    if not location:
        # The messages of checks across sections already name their settings.
        return message.splitlines()
    return [f"{name}: {message}"]
