"""Says in words which values a setting takes, for messages about wrong values."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from server.settings.section import attributes
from server.settings.tree import Settings

_LIMITS = ("ge", "le", "min_length", "max_length")


def what_it_takes(location: tuple[int | str, ...]) -> str | None:
    """What to write for this setting, such as "write a whole number from 0 to 65535"; None if it can't be said so."""
    if location and location[0] in {"roles", "access"}:
        return _of_map(location)
    model: Any = Settings
    field = None
    for step in location:
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            # The location is an element of a list.
            break
        field = model.model_fields.get(attributes(model).get(str(step), ""))
        model = None if field is None else field.annotation
    if field is None or (isinstance(model, type) and issubclass(model, BaseModel)):
        return "write a section, with settings in it"
    return _of_field(field)


def _of_map(location: tuple[int | str, ...]) -> str:
    """What to write in [roles] and [access]. They have no models, since the user chooses their names."""
    if len(location) == 1:
        return "write a section, with settings in it"
    if location[0] == "roles" and len(location) == 2:
        return "write a section, like [roles.support], with `includes` in it"
    return 'write a list of roles, like ["admin"]'


def _of_field(field: FieldInfo) -> str | None:
    kind = field.annotation
    limits = {name: getattr(limit, name) for limit in field.metadata for name in _LIMITS if hasattr(limit, name)}
    if get_origin(kind) is Literal:
        *first, last = get_args(kind)
        return f"write {', '.join(first)} or {last}"
    if kind is bool:
        return "write true or false"
    if kind is int:
        return f"write a whole number from {limits['ge']} to {limits['le']}"
    if kind is str and "max_length" in limits:
        return f"write a text of {limits['min_length']} to {limits['max_length']} characters"
    if kind is str:
        return "write a text" if field.default == "" else "write a text that is not empty"
    if get_origin(kind) is tuple:
        return (
            "write a text, or a list of them" if "SecretStr" in str(kind) else 'write a list of texts, like ["a", "b"]'
        )
    return None
