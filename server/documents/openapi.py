"""The OpenAPI 3.1 document. It is made from the route table in force, so it always agrees with the server."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from server import __version__
from server.core.errors import ApiError, InvalidRequest, StoreMoving, StoreUnavailable
from server.http.errors import InvalidJson, MalformedRequest, PayloadTooLarge, RequestTimeout, UnsupportedMediaType
from server.http.route import GuardedRoute
from server.http.schemas import Problem
from server.sessions.errors import TokenRevoked
from watchword_client.errors import InsufficientRole, TokenExpired, TokenInvalid, TokenMissing

Json = dict[str, Any]

_REFERENCE = "#/components/schemas/{model}"
_TOKEN_ERRORS = (TokenMissing, TokenInvalid, TokenExpired, TokenRevoked)
_BODY_ERRORS = (
    InvalidJson,
    RequestTimeout,
    PayloadTooLarge,
    UnsupportedMediaType,
    InvalidRequest,
)
_REQUEST_ID: Json = {"description": "The id of this request in the log", "schema": {"type": "string"}}


def openapi_document(rows: Iterable[GuardedRoute]) -> Json:
    """The document. Its schemas are the models that check the requests."""
    rows = tuple(rows)
    paths: dict[str, Json] = {}
    for row in rows:
        paths.setdefault(row.route.path, {})[row.route.method.lower()] = _operation(row)
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
            "schemas": _schemas(rows),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def openapi_bytes(document: Json) -> bytes:
    """The document as it is served and printed."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def errors_of(row: GuardedRoute) -> list[type[ApiError]]:
    """Every failure that a route can answer with: those of access, body and query, and those that its row names."""
    found: list[type[ApiError]] = [MalformedRequest]
    if row.rule.takes_token:
        found += _TOKEN_ERRORS
    if row.rule.roles is not None:
        found.append(InsufficientRole)
    if row.route.body is not None:
        found += _BODY_ERRORS
    if row.route.query is not None:
        found.append(InvalidRequest)
    found += row.route.errors
    if StoreUnavailable in found and row.route.method != "GET":
        # Whatever writes is refused while the store is moved.
        found.append(StoreMoving)
    return list(dict.fromkeys(found))


def _operation(row: GuardedRoute) -> Json:
    route = row.route
    operation: Json = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "description": f"Open to: {row.rule}.",
        "tags": [route.tag],
        "security": [{"bearer": []}] if row.rule.takes_token else [],
        "responses": _responses(row),
    }
    parameters = [*_path_parameters(route.path), *_query_parameters(route.query)]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "required": route.body_required,
            "content": {"application/json": {"schema": _reference(route.body)}},
        }
    return operation


def _responses(row: GuardedRoute) -> Json:
    responses: Json = {}
    for status, model in row.route.answers.items():
        headers = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in row.route.headers.items()
        }
        answer: Json = {"description": row.route.summary, "headers": {"X-Request-Id": _REQUEST_ID, **headers}}
        if status != 204:
            schema = _reference(model) if model is not None else {}
            answer["content"] = {row.route.content_type: {"schema": schema}}
        responses[str(status)] = answer
    for status, group in _by_status(errors_of(row)).items():
        responses[str(status)] = _failure(status, group)
    return responses


def _failure(status: int, group: list[type[ApiError]]) -> Json:
    headers: Json = {"X-Request-Id": _REQUEST_ID}
    for error, name in ((401, "WWW-Authenticate"), (429, "Retry-After"), (503, "Retry-After")):
        if status == error:
            headers[name] = {"schema": {"type": "string"}, "required": True}
    codes = [error.code for error in group]
    return {
        "description": "; ".join(f"`{error.code}`: {error.title}" for error in group),
        "headers": headers,
        "content": {
            "application/problem+json": {
                "schema": {
                    "allOf": [_reference(Problem)],
                    "properties": {"code": {"enum": codes}, "status": {"const": status}},
                }
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
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query_parameters(model: type[BaseModel] | None) -> list[Json]:
    if model is None:
        return []
    schema = model.model_json_schema()
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", []), "schema": _without_null(part)}
        for name, part in schema["properties"].items()
    ]


def _without_null(schema: Json) -> Json:
    """The schema without null, since a query has no null: an optional parameter is just not required."""
    choices = [part for part in schema.get("anyOf", []) if part.get("type") != "null"]
    return choices[0] if choices else {key: value for key, value in schema.items() if key != "title"}


def _reference(model: type[BaseModel]) -> Json:
    return {"$ref": _REFERENCE.format(model=model.__name__)}


def _schemas(rows: Iterable[GuardedRoute]) -> Json:
    models: dict[type[BaseModel], Any] = {Problem: "serialization"}
    for row in rows:
        if row.route.body is not None:
            models[row.route.body] = "validation"
        models |= {model: "serialization" for model in row.route.answers.values() if model is not None}
    _, document = models_json_schema(list(models.items()), ref_template=_REFERENCE)
    return dict(sorted(document["$defs"].items()))
