"""Bodies made of a JSON Schema, to show what is sent and answered. The same schema always gives the same example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.documents.fields import resolved

Json = dict[str, Any]

_TIME = "2026-11-26T08:00:00.000Z"


def example_of(schema: Json, definitions: Mapping[str, Json]) -> Any:
    """A value that fits the schema: its own first example if it has one, else one made of its parts.

    `definitions` are the schemas that `$ref` leads to, by its last part. Of alternatives (`anyOf`) the first counts.
    """
    if "examples" in schema:
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "$ref" in schema:
        return example_of(resolved(schema, definitions), definitions)
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], definitions)
    return _of_type(schema, definitions)


def _of_type(schema: Json, definitions: Mapping[str, Json]) -> Any:
    match schema.get("type"):
        case "object":
            return {name: example_of(part, definitions) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [example_of(schema["items"], definitions)] if "items" in schema else []
        case "boolean":
            return schema.get("default", False)
        case "integer" | "number":
            return schema.get("default") or schema.get("minimum", 0)
        case "string" if schema.get("format") == "date-time":
            return _TIME
        case "string":
            return schema.get("default", "")
    return None
