"""The OpenAPI 3.1 document. It is made from the route table in force, so it always agrees with the server."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import orjson

# pydantic loads these with the first document, and then there may be no descriptor left.
import pydantic.dataclasses
import pydantic.type_adapter  # noqa: F401
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from server import __version__
from server.core.errors import ApiError
from server.documents.examples import example_of
from server.documents.failures import all_errors, errors_of, problem_example
from server.documents.path_parameters import PATH_PARAMETERS
from server.http.route import GuardedRoute
from server.http.schemas import Problem

Json = dict[str, Any]

_REFERENCE = "#/components/schemas/{model}"
_REQUEST_ID: Json = {"description": "The id of this request in the log", "schema": {"type": "string"}}
_UP_TO_DATE = "What the client has is up to date, by `If-None-Match`"
_FAILURE_HEADERS = {
    401: ("WWW-Authenticate", "What is wrong with the token (RFC 6750 section 3)"),
    429: ("Retry-After", "In how many seconds to come again"),
    503: ("Retry-After", "In how many seconds to come again"),
}


class _Schemas(GenerateJsonSchema):
    """Fields in their order, and without titles, which would only repeat their names."""

    def sort(self, value: Any, parent_key: str | None = None) -> Any:
        """The schema as it is."""
        del parent_key
        return value

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never."""
        del schema
        return False


def openapi_document(rows: Iterable[GuardedRoute], public_url: str = "") -> Json:
    """The document. Its schemas are the models that check the requests.

    `public_url` is what links in answers begin with, as in the settings.
    """
    rows = tuple(rows)
    schemas = _schemas(_models(rows))
    paths: dict[str, Json] = {}
    for row in rows:
        paths.setdefault(row.route.path, {})[row.route.method.lower()] = _operation(row, schemas)
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Watchword",
            "version": __version__,
            "summary": "Logins, short-lived tokens, sessions and roles for your API",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(row.route.tag for row in rows)],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "examples": {
                error.code: {"summary": error.title, "value": problem_example(error, public_url)}
                for error in all_errors(rows)
            },
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def openapi_bytes(document: Json) -> bytes:
    """The document as it is served and printed."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def _operation(row: GuardedRoute, schemas: Json) -> Json:
    route = row.route
    operation: Json = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "description": _description(row),
        "tags": [route.tag],
        "security": [{"bearer": []}] if row.rule.takes_token else [],
        "x-access": str(row.rule),
        "x-recent-sign-in": row.route.recent,
        "responses": _responses(row, schemas),
    }
    parameters = [*_path_parameters(route.path), *_query_parameters(route.query)]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "required": route.body_required,
            "content": {"application/json": _content(route.body, schemas)},
        }
    return operation


def _content(model: type[BaseModel], schemas: Json) -> Json:
    """A body, with an example."""
    return {"schema": _reference(model), "example": example_of(schemas[model.__name__], schemas)}


def _description(row: GuardedRoute) -> str:
    recent = f" Asks for a recent sign-in: {row.route.recent}." if row.route.recent else ""
    return f"Open to: {row.rule}.{recent}"


def _responses(row: GuardedRoute, schemas: Json) -> Json:
    responses: Json = {}
    for status, model in row.route.answers.items():
        headers = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in row.route.headers.items()
        }
        description = _UP_TO_DATE if status == 304 else row.route.summary
        answer: Json = {"description": description, "headers": {"X-Request-Id": _REQUEST_ID, **headers}}
        if model is not None:
            answer["content"] = {row.route.content_type: _content(model, schemas)}
        elif status == 200:
            answer["content"] = {row.route.content_type: {"schema": {}}}
        responses[str(status)] = answer
    for status, group in _by_status(errors_of(row)).items():
        responses[str(status)] = _failure(status, group)
    return responses


def _failure(status: int, group: list[type[ApiError]]) -> Json:
    headers: Json = {"X-Request-Id": _REQUEST_ID}
    if status in _FAILURE_HEADERS:
        name, text = _FAILURE_HEADERS[status]
        headers[name] = {"description": text, "schema": {"type": "string"}, "required": True}
    codes = [error.code for error in group]
    return {
        "description": "; ".join(f"`{error.code}`: {error.title}" for error in group),
        "headers": headers,
        "content": {
            "application/problem+json": {
                "schema": {
                    "allOf": [_reference(Problem)],
                    "properties": {"code": {"enum": codes}, "status": {"const": status}},
                },
                "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in codes},
            }
        },
    }


def _by_status(group: Iterable[type[ApiError]]) -> dict[int, list[type[ApiError]]]:
    found: dict[int, list[type[ApiError]]] = {}
    for error in group:
        found.setdefault(error.status, []).append(error)
    return dict(sorted(found.items()))


def _path_parameters(path: str) -> list[Json]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": PATH_PARAMETERS[name][0],
            "schema": {"type": "string"},
            "example": PATH_PARAMETERS[name][1],
        }
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query_parameters(model: type[BaseModel] | None) -> list[Json]:
    if model is None:
        return []
    schema = _query_schema(model)
    return [
        _query_parameter(name, part, schema.get("$defs", {}), required=name in schema.get("required", []))
        for name, part in schema["properties"].items()
    ]


def _query_parameter(name: str, schema: Json, definitions: Json, *, required: bool) -> Json:
    """A query has no null: an optional parameter is just not required."""
    parameter: Json = {"name": name, "in": "query", "required": required, "description": schema["description"]}
    [choice, *_] = schema.get("anyOf", [schema])
    if "$ref" in choice:
        choice = definitions[choice["$ref"].rpartition("/")[2]]
    parameter["schema"] = {key: value for key, value in choice.items() if key not in {"title", "description"}}
    if "examples" in schema:
        parameter["schema"]["examples"] = schema["examples"]
    return parameter | {"example": example_of(parameter["schema"], {})}


def _reference(model: type[BaseModel]) -> Json:
    return {"$ref": _REFERENCE.format(model=model.__name__)}


@cache
def _query_schema(model: type[BaseModel]) -> Json:
    return model.model_json_schema(schema_generator=_Schemas)


def _models(rows: Iterable[GuardedRoute]) -> tuple[tuple[type[BaseModel], JsonSchemaMode], ...]:
    models: dict[type[BaseModel], JsonSchemaMode] = {Problem: "serialization"}
    for row in rows:
        if row.route.body is not None:
            models[row.route.body] = "validation"
        models |= {model: "serialization" for model in row.route.answers.values() if model is not None}
    return tuple(models.items())


@cache
def _schemas(models: tuple[tuple[type[BaseModel], JsonSchemaMode], ...]) -> Json:
    """The schemas by name. They are always the same for a program, and most of the work."""
    _, document = models_json_schema(list(models), ref_template=_REFERENCE, schema_generator=_Schemas)
    return dict(sorted(document["$defs"].items()))
