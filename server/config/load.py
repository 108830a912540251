"""Where settings come from: the defaults, a TOML file over them, the environment over that.

Written by hand rather than with pydantic-settings, which takes a misspelt WATCHWORD__SERVER__PROT for somebody else's
variable and is silent, knows no `_FILE`, and turns the string "8080" in a file into a number. Here an unknown name is
an error wherever it stands, and the tree is validated once, strictly, with every problem reported at the same time.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from server.config.allowed import what_it_takes
from server.config.settings import Settings, default_roles
from server.errors import ConfigurationError

ENVIRONMENT_PREFIX = "WATCHWORD__"
DEFAULT_FILE = "config.toml"

Tree = dict[str, Any]


def load_settings(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings.

    `path` None means config.toml in the working directory, if there is one. Raises ConfigurationError with every
    problem there is.
    """
    problems: list[str] = []
    tree = _from_file(path, problems)
    for name in sorted(environment):
        if name.upper().startswith(ENVIRONMENT_PREFIX):
            _apply_variable(tree, name, environment[name], problems)
    if isinstance(tree.get("roles"), dict):
        tree["roles"] = {name: role.model_dump() for name, role in default_roles().items()} | tree["roles"]
    settings = _validate(tree, problems)
    if settings is None or problems:
        raise ConfigurationError(problems)
    return settings


def _from_file(path: Path | None, problems: list[str]) -> Tree:
    chosen = path if path is not None else Path(DEFAULT_FILE)
    try:
        text = chosen.read_bytes()
    except FileNotFoundError:
        if path is not None:
            problems.append(f"{path}: there is no such file; give --config another path")
        return {}
    except OSError as error:
        problems.append(f"{chosen}: can't be read ({error.strerror}); check the path and its permissions")
        return {}
    try:
        return tomllib.loads(text.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        # The message of the TOML parser gives line and column; it does not quote values.
        where = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "not UTF-8"
        problems.append(f"{chosen}: is not TOML: {where}; mend that line")
        return {}


def _apply_variable(tree: Tree, name: str, text: str, problems: list[str]) -> None:
    """Put `WATCHWORD__SECTION__KEY` (or `..._FILE`, whose value is a path) into the tree."""
    keys = name[len(ENVIRONMENT_PREFIX) :].lower().split("__")
    if keys[-1].endswith("_file"):
        keys[-1] = keys[-1].removesuffix("_file")
        try:
            text = Path(text).read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError, ValueError):
            problems.append(
                f"{'.'.join(keys)}: the file that {name} names can't be read; check its path and permissions"
            )
            return
    branch = tree
    for key in keys[:-1]:
        child = branch.setdefault(key, {})
        if not isinstance(child, dict):
            problems.append(f"{name}: {key} is not a section; see docs/settings.md for the names")
            return
        branch = child
    branch[keys[-1]] = _typed(keys, text)


def _typed(keys: list[str], text: str) -> Any:
    """A variable is text. A string setting takes it as it is; others read it as JSON, lists also as a,b.

    A secret is one text, commas and all; several are a JSON list, or a line each.
    """
    kind = _kind_of(keys)
    if kind is str:
        return text
    if kind is SecretStr:
        return _secrets(text)
    try:
        return json.loads(text)
    except ValueError:
        pass
    if kind is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _kind_of(keys: list[str]) -> type | None:
    """`str`, `tuple`, or None for whatever JSON says."""
    model: Any = Settings
    for key in keys[:-1]:
        field = model.model_fields.get(key)
        if field is None:
            return None
        model = field.annotation
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            # [roles.NAME] includes and [access] are maps to lists.
            return tuple
    field = model.model_fields.get(keys[-1])
    if field is None:
        return None
    if get_origin(field.annotation) is tuple:
        return SecretStr if "SecretStr" in str(field.annotation) else tuple
    return str if field.annotation is str or "Literal" in str(field.annotation) else None


def _secrets(text: str) -> Any:
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            pass
    return [line for line in text.splitlines() if line]


def _validate(tree: Tree, problems: list[str]) -> Settings | None:
    try:
        # JSON is the strict reading in which a list may become a tuple but "8080" never a number.
        return Settings.model_validate_json(json.dumps(tree, default=str), strict=True)
    except ValidationError as error:
        for part in error.errors(include_input=False, include_url=False):
            problems.extend(_lines(part["type"], part["loc"], part["msg"]))
    return None


def _lines(kind: str, location: tuple[int | str, ...], message: str) -> list[str]:
    name = ".".join(f'"{step}"' if " " in str(step) else str(step) for step in location if isinstance(step, str))
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(name, setting_names(), n=1, cutoff=0.6)
        return [f"{name}: there is no such setting; " + (f"did you mean {near[0]}?" if near else "remove it")]
    message = message.removeprefix("Value error, ")
    if kind != "value_error":
        told = what_it_takes(location)
        return [f"{name}: {told or f'{message[0].lower()}{message[1:]}; docs/settings.md tells what it takes'}"]
    if not location:
        # The checks across sections name their settings themselves.
        return message.splitlines()
    return [f"{name}: {message}"]


def setting_names() -> list[str]:
    """Every setting as section.key; [roles] and [access] by their section alone."""
    names = []
    for section, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names += [f"{section}.{key}" for key in kind.model_fields]
        else:
            names.append(section)
    return names
