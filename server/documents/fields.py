"""The fields of a JSON Schema in words, for people: their names, what they take, and what they mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "object",
    "null": "null",
}
_PLURALS = {"text": "texts", "object": "objects", "whole number": "whole numbers"}


@dataclass(frozen=True, slots=True)
class Field:
    """A field, or one inside it: `user.id`, and `users[].id` for each entry of a list."""

    name: str
    kind: str
    text: str
    required: bool
    # What counts if the field is absent; "" if there is nothing to say.
    default: str
    # The values that can be chosen from; empty if it takes others.
    choices: tuple[str, ...]


def fields_of(schema: Json, definitions: Mapping[str, Json], prefix: str = "") -> Iterator[Field]:
    """The fields of an object, each followed by those inside it."""
    required = schema.get("required", ())
    for name, part in schema.get("properties", {}).items():
        yield field_of(f"{prefix}{name}", part, definitions, required=name in required)
        inner, ending = _inside(part, definitions)
        yield from fields_of(inner, definitions, f"{prefix}{name}{ending}.")


def field_of(name: str, schema: Json, definitions: Mapping[str, Json], *, required: bool) -> Field:
    """One field."""
    default = schema.get("default")
    return Field(
        name=name,
        kind=kind_of(schema, definitions),
        text=schema.get("description", ""),
        required=required,
        default="" if default in {None, ""} or required else str(default).lower(),
        choices=tuple(_choices(schema, definitions)),
    )


def kind_of(schema: Json, definitions: Mapping[str, Json]) -> str:
    """What values a schema takes, in a few words."""
    if "$ref" in schema:
        return kind_of(resolved(schema, definitions), definitions)
    if "anyOf" in schema:
        return " or ".join(kind_of(part, definitions) for part in schema["anyOf"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    kind = str(schema.get("type", "any value"))
    if kind == "array":
        inner = kind_of(schema.get("items", {}), definitions)
        return f"list of {_PLURALS.get(inner, inner)}"
    if schema.get("format") == "date-time":
        return "time"
    return _WORDS.get(kind, kind) + _limits(schema)


def resolved(schema: Json, definitions: Mapping[str, Json]) -> Json:
    """The schema that a `$ref` leads to, by its last part; any other one as it is."""
    return definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _limits(schema: Json) -> str:
    for least, most, unit in (("minimum", "maximum", ""), ("minLength", "maxLength", " characters")):
        if most in schema:
            return (
                f", {schema[least]} to {schema[most]}{unit}" if least in schema else f", at most {schema[most]}{unit}"
            )
        if least in schema:
            return f", at least {schema[least]}{unit}"
    return ""


def _inside(schema: Json, definitions: Mapping[str, Json]) -> tuple[Json, str]:
    """The object in a field, and what its name gets: `[]` if there are many of it."""
    [schema, *_] = schema.get("anyOf", [schema])
    if schema.get("type") == "array":
        return resolved(schema.get("items", {}), definitions), "[]"
    return resolved(schema, definitions), ""


def _choices(schema: Json, definitions: Mapping[str, Json]) -> list[str]:
    [schema, *_] = schema.get("anyOf", [schema])
    schema = resolved(schema, definitions)
    if schema.get("type") == "boolean":
        return ["true", "false"]
    return [str(value) for value in schema.get("enum", ())]
