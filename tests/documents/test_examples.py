"""Every field is explained, and every example is one that the server sends or takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from jsonschema import Draft202012Validator

from server.access.rules import rules_in_force
from server.documents.examples import example_of
from server.documents.openapi import openapi_document
from server.http.route import GuardedRoute
from server.routes import ROUTES
from server.settings.tree import RegistrationSettings
from tests.running import StartApi

Json = dict[str, Any]

FORMATS = Draft202012Validator.FORMAT_CHECKER
RULES = rules_in_force({route.name: route.access for route in ROUTES}, [], {})
DOCUMENT = openapi_document(GuardedRoute(route, RULES[route.name], overridden=False) for route in ROUTES)
SCHEMAS: Json = DOCUMENT["components"]["schemas"]
OPERATIONS: dict[str, Json] = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


def fields() -> Iterator[tuple[str, Json]]:
    """Every field of every body and answer, and every parameter."""
    for model, schema in SCHEMAS.items():
        for name, field in schema.get("properties", {}).items():
            yield f"{model}.{name}", field
    for route, operation in OPERATIONS.items():
        for parameter in operation.get("parameters", ()):
            yield f"{route} {parameter['name']}", parameter["schema"] | {"description": parameter.get("description")}


def contents() -> Iterator[tuple[str, Json]]:
    """Every body of a request or an answer: its schema with its examples."""
    for route, operation in OPERATIONS.items():
        bodies = {"body": operation["requestBody"]} if "requestBody" in operation else {}
        for name, part in (bodies | operation["responses"]).items():
            for content in part.get("content", {}).values():
                yield f"{route} {name}", content


FIELDS = dict(fields())
CONTENTS = {name: content for name, content in contents() if content["schema"]}


def texts(schema: Json) -> Iterator[Json]:
    """The parts of a field's schema that are texts which nothing but an example can make plausible."""
    for part in schema.get("anyOf", [schema]):
        if part.get("type") == "array":
            yield from texts(part["items"])
        elif part.get("type") in {"string", "object"} and not part.keys() & {"enum", "const", "format"}:
            yield schema | part


def test_every_field_is_explained() -> None:
    """By Field(description=…) in a schemas.py, or in path_parameters.py."""
    for name, field in FIELDS.items():
        description = field.get("description")
        assert description, name
        assert description[0].isupper() or description[0] == "`", name
        assert not description.endswith("."), name


def test_every_text_has_an_example() -> None:
    """By Field(examples=[…]) at the field or with its type."""
    members = {name: field for name, field in FIELDS.items() if " " not in name and "examples" not in field}
    assert [name for name, field in members.items() if not all("examples" in part for part in texts(field))] == []


def schema_of(schema: Json) -> Json:
    return {**schema, "components": DOCUMENT["components"]}


def test_every_example_fits_its_schema() -> None:
    for name, content in CONTENTS.items():
        named = [DOCUMENT["components"]["examples"][code]["value"] for code in content.get("examples", ())]
        examples = [content["example"]] if "example" in content else named
        assert examples
        validator = Draft202012Validator(schema_of(content["schema"]), format_checker=FORMATS)
        wrong = [(name, error.message) for example in examples for error in validator.iter_errors(example)]
        assert wrong == []


def test_every_parameter_has_an_example_that_fits() -> None:
    for route, operation in OPERATIONS.items():
        for parameter in operation.get("parameters", ()):
            assert Draft202012Validator(schema_of(parameter["schema"])).is_valid(parameter["example"]), route
            assert parameter["example"] not in {None, ""}, f"{route} {parameter['name']}"


def test_nothing_in_the_document_leads_nowhere() -> None:
    def references(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            yield from ([part["$ref"]] if isinstance(part.get("$ref"), str) else [])
            part = list(part.values())
        if isinstance(part, list):
            for inner in part:
                yield from references(inner)

    found = set(references(DOCUMENT))
    assert len(found) > 30
    for reference in found:
        assert re.fullmatch(r"#/components/(schemas|examples)/\w+", reference)
        kind, name = reference.split("/")[2:]
        assert name in DOCUMENT["components"][kind], reference


def test_an_example_is_made_of_the_parts_of_a_schema() -> None:
    definitions = {"Inner": {"type": "object", "properties": {"at": {"type": "string", "format": "date-time"}}}}
    schema = {
        "type": "object",
        "properties": {
            "inner": {"$ref": "#/components/schemas/Inner", "description": "x"},
            "list": {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/Inner"}, {"type": "null"}]}},
            "least": {"type": "integer", "minimum": 3},
            "usual": {"type": "integer", "minimum": 3, "default": 5},
            "flag": {"type": "boolean", "default": True},
            "choice": {"enum": ["b", "a"]},
            "fixed": {"const": "ok"},
            "text": {"type": "string", "examples": ["one", "two"]},
            "nothing": {"type": "null"},
        },
    }
    inner = {"at": "2026-11-26T08:00:00.000Z"}
    assert example_of(schema, definitions) == {
        "inner": inner, "list": [inner], "least": 3, "usual": 5, "flag": True, "choice": "b", "fixed": "ok",
        "text": "one", "nothing": None,
    }  # fmt: skip


async def test_the_server_takes_every_example(start_api: StartApi) -> None:
    """Whatever becomes of the request: it is never refused for its form."""
    api = await start_api(registration=RegistrationSettings(mode="open"))
    # The last one changes the password that the others log in with.
    for route in sorted(OPERATIONS, key=lambda name: name == "POST /me/password"):
        operation = OPERATIONS[route]
        token = await api.token("sahan") if operation["security"] else None
        method, path, options = request_of(route, operation)
        response = await api.request(method, path, token, **options)
        problem = await response.json() if response.status >= 400 else {}
        assert problem.get("code") not in {"invalid_request", "invalid_json"}, (route, problem)
        assert response.status < 500, (route, problem)


def request_of(route: str, operation: Json) -> tuple[str, str, Json]:
    """The request whose parts are the examples."""
    method, path = route.split(" ")
    query = {}
    for parameter in operation.get("parameters", ()):
        example = parameter["example"]
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", example)
        else:
            query[parameter["name"]] = str(example).lower() if isinstance(example, bool) else str(example)
    body = operation.get("requestBody")
    options = {"json": body["content"]["application/json"]["example"]} if body else {}
    return method, f"{path}?{urlencode(query)}", options
