"""Settings from the environment: `WATCHWORD__SECTION__KEY`, or `..._FILE` with the path of a file.

An empty value never replaces a secret of the settings file. If two variables set the same setting, that is a problem,
since nobody can know which one is meant.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_origin

from pydantic import BaseModel, SecretStr

from server.files.text_file import read_text, without_line_end
from server.settings.section import attributes
from server.settings.similar_names import similar_setting
from server.settings.stray_characters import stray_characters
from server.settings.tree import Settings, setting_names

PREFIX = "WATCHWORD__"
# A variable with this prefix is a setting, or a container host has made it.
_OURS = "WATCHWORD_"
# The variables of Docker's links and of Kubernetes' services, for a service whose name begins with "watchword".
_SERVICE_LINK = re.compile(
    r"WATCHWORD_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|ENV_\w+"
    r"|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|ADDR|START|END|PORT(_(START|END))?))?)",
    re.ASCII,
)
# A JSON list of secrets. A single secret may also begin with a bracket, but hardly with bracket and quotation mark.
_LIST = re.compile(r"""\s*\[\s*["'\]]""")
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://")

Tree = dict[str, Any]


def apply_environment(
    tree: Tree, environment: Mapping[str, str], problems: list[str]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Put the settings of the environment into `tree`, and add what is wrong to `problems`.

    Returns the names of the variables that a container host has made, which are ignored; and for each setting that the
    environment gives, the name of its variable.
    """
    ignored = []
    given: dict[tuple[str, ...], str] = {}
    for name in sorted(environment):
        text = environment[name]
        if name.upper().startswith(PREFIX):
            keys = tuple(name[len(PREFIX) :].lower().removesuffix("_file").split("__"))
            if not all(keys):
                problems.append(_unknown(name))
                continue
            if keys in given:
                problems.append(f"{'.'.join(keys)}: both {given[keys]} and {name} set it; unset one of them")
                continue
            given[keys] = name
            _apply(tree, name, keys, text, problems)
        elif name.upper().startswith(_OURS):
            if _is_service_link(name.upper(), text):
                ignored.append(name)
            else:
                problems.append(_unknown(name))
    known = setting_names()
    # A variable may give a part of [roles] or [access].
    return tuple(ignored), {
        dotted if (dotted := ".".join(keys)) in known else keys[0]: name for keys, name in given.items()
    }


def _is_service_link(name: str, text: str) -> bool:
    if _SERVICE_LINK.fullmatch(name):
        return True
    # Such a name could also be a mistake, so the value has to be an address or a path in the form of these hosts.
    return bool(
        (name.endswith("_PORT") and _SERVICE_ADDRESS.match(text)) or (name.endswith("_NAME") and text.startswith("/"))
    )


def _unknown(name: str) -> str:
    """The problem of a variable that is no setting. Often one underscore stands where two belong."""
    words = name[len(_OURS) :].lower().removesuffix("_file").strip("_")
    section, _, key = words.partition("_")
    near = similar_setting(f"{section}.{key}") or similar_setting(words)
    remedy = "settings begin with WATCHWORD__; unset it"
    if near in setting_names():
        remedy = f"did you mean {PREFIX}{near.replace('.', '__').upper()}?"
    return f"{name}: there is no such setting; {remedy}"


def _apply(tree: Tree, name: str, keys: tuple[str, ...], text: str, problems: list[str]) -> None:
    kind = _kind_of(keys)
    if kind is BaseModel:
        # A variable for a whole section would replace all settings of the section.
        problems.append(f"{name}: {keys[0]} is a section; set each of its settings, {PREFIX}{keys[0].upper()}__…")
        return
    found = _value(name, ".".join(keys), text, problems)
    if found is None:
        return
    branch = tree
    for key in keys[:-1]:
        child = branch.setdefault(key, {})
        if not isinstance(child, dict):
            problems.append(f"{name}: {key} is not a section; see docs/settings.md for the names")
            return
        branch = child
    try:
        value = _typed(kind, found)
    except ValueError as error:
        problems.append(f"{name}: {error}")
        return
    if value == [] and kind is SecretStr and branch.get(keys[-1]):
        problems.append(f"{name}: it is empty, and the settings file has a secret there; unset it, or give a secret")
        return
    branch[keys[-1]] = value


def _value(name: str, setting: str, text: str, problems: list[str]) -> str | None:
    """The text of a variable, or of the file that it names. None if it can't be used; then a problem is added."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        problems.append(f"{name}: its value is not UTF-8; write it in UTF-8")
        return None
    text = without_line_end(text)
    if not name.lower().endswith("_file"):
        return text
    reason = stray_characters(text)
    if reason is not None:
        problems.append(f"{name}: the path {reason}")
        return None
    try:
        content = without_line_end(read_text(Path(text)))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        problems.append(
            f"{setting}: the file that {name} names can't be read ({why}); check its path, permissions and encoding"
        )
        return None
    if not content:
        problems.append(f"{setting}: the file that {name} names is empty; write the value into it, or unset {name}")
        return None
    return content


def _typed(kind: type | None, text: str) -> Any:
    """Convert the text of a variable. Strings stay as they are; other settings are JSON, and lists may also be `a,b`.

    A secret may contain commas. Several secrets are a JSON list, or one per line. Raises ValueError, whose message says
    what to write.
    """
    begin = text.lstrip()[:1]
    if kind is str:
        return text
    if kind is SecretStr and not _LIST.match(text):
        return [line for line in re.split("[\r\n]", text) if line]
    if kind is tuple and begin not in ("[", "{"):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return json.loads(text, object_pairs_hook=_each_once)
    except KeyError as error:
        raise ValueError(f'"{error.args[0]}" stands in it twice; take one of them out') from None
    except (ValueError, RecursionError):
        if kind is not None:
            raise ValueError(f'begins with {begin} and is no JSON; write a list as ["a", "b"], also of one') from None
    return text


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object as a dict. Raises KeyError if a name is repeated, which is an error in the settings file too."""
    found: dict[str, Any] = {}
    for name, value in members:
        if name in found:
            raise KeyError(name)
        found[name] = value
    return found


def _kind_of(keys: tuple[str, ...]) -> type | None:
    """The type of a setting: `str`, `SecretStr`, `tuple`, `BaseModel` for a section, or None for any JSON value."""
    model: Any = Settings
    for key in keys[:-1]:
        field = model.model_fields.get(key)
        if field is None:
            return None
        model = field.annotation
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            # The values in [roles.NAME] and [access] are lists.
            return tuple
    field = model.model_fields.get(attributes(model).get(keys[-1], ""))
    if field is None:
        return None
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
        return BaseModel
    if get_origin(field.annotation) is tuple:
        return SecretStr if "SecretStr" in str(field.annotation) else tuple
    return str if field.annotation is str or "Literal" in str(field.annotation) else None
