"""What the page at /docs shows: the OpenAPI document, put into words. The template is docs.html of the pages."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from server.documents.fields import Field, field_of, fields_of, resolved
from server.pages.page import Page
from server.pages.rendering import Renderer

Json = dict[str, Any]

# Without a `server.public_url`; the script puts the address of the page in its place.
_ADDRESS = "http://127.0.0.1:8080"
# Said once for the whole page.
_COMMON_HEADERS = frozenset({"X-Request-Id"})


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request or an answer. `example` is JSON; "" for what is none, such as a page."""

    content_type: str
    text: str
    fields: tuple[Field, ...]
    example: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A success. `headers` are names with what they hold."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: Body | None


@dataclass(frozen=True, slots=True)
class Parameter:
    """A part of the path or the query."""

    place: str
    field: Field
    example: str


@dataclass(frozen=True, slots=True)
class Operation:
    """A route, as the page shows it. `recent` says when it asks for a recent sign-in; "" for never."""

    anchor: str
    method: str
    path: str
    summary: str
    access: str
    recent: str
    takes_token: bool
    parameters: tuple[Parameter, ...]
    body: Body | None
    body_required: bool
    answers: tuple[Answer, ...]
    failures: tuple[tuple[str, tuple[str, ...]], ...]
    curl: str


def docs_page(document: Json, renderer: Renderer, public_url: str = "") -> Page:
    """The page of an OpenAPI document. `public_url` is where its examples call the server."""
    origin = public_url or _ADDRESS
    components = document["components"]
    operations = {
        tag["name"]: [
            _operation(method, path, operation, components["schemas"], origin)
            for path, methods in sorted(document["paths"].items())
            for method, operation in methods.items()
            if tag["name"] in operation["tags"]
        ]
        for tag in document["tags"]
    }
    return renderer.page(
        "docs.html",
        "en",
        languages=("en",),
        version=document["info"]["version"],
        origin=origin,
        operations=operations,
        problem=_body("application/problem+json", {"$ref": "Problem"}, components["schemas"], None),
        failures={code: example["value"] for code, example in components["examples"].items()},
        anchor=_anchor,
        json=_written,
    )


def _operation(method: str, path: str, operation: Json, schemas: Mapping[str, Json], origin: str) -> Operation:
    given = operation.get("requestBody")
    body = _content(given, schemas) if given else None
    parameters = tuple(_parameter(part, schemas) for part in operation.get("parameters", ()))
    takes_token = bool(operation["security"])
    return Operation(
        anchor=_anchor(f"{method} {path}"),
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        access=operation["x-access"],
        recent=operation["x-recent-sign-in"],
        takes_token=takes_token,
        parameters=parameters,
        body=body,
        body_required=bool(given and given["required"]),
        answers=tuple(
            _answer(status, answer, schemas) for status, answer in operation["responses"].items() if status < "400"
        ),
        failures=tuple(
            (status, tuple(content["examples"]))
            for status, answer in operation["responses"].items()
            if status >= "400"
            for content in answer["content"].values()
        ),
        curl=_curl(method.upper(), origin + path, parameters, body, takes_token=takes_token),
    )


def _parameter(part: Json, schemas: Mapping[str, Json]) -> Parameter:
    schema = part["schema"] | {"description": part["description"]}
    example = part["example"]
    return Parameter(
        place=part["in"],
        field=field_of(part["name"], schema, schemas, required=part["required"]),
        example=example if isinstance(example, str) else json.dumps(example),
    )


def _answer(status: str, answer: Json, schemas: Mapping[str, Json]) -> Answer:
    headers = {
        name: header.get("description", "") for name, header in answer["headers"].items() if name not in _COMMON_HEADERS
    }
    return Answer(status, tuple(headers.items()), _content(answer, schemas) if "content" in answer else None)


def _content(part: Json, schemas: Mapping[str, Json]) -> Body:
    [(content_type, content)] = part["content"].items()
    return _body(content_type, content["schema"], schemas, content.get("example"))


def _body(content_type: str, schema: Json, schemas: Mapping[str, Json], example: Any) -> Body:
    found = resolved(schema, schemas)
    return Body(
        content_type=content_type,
        text=found.get("description", ""),
        fields=tuple(fields_of(found, schemas)),
        example="" if example is None else _written(example),
    )


def _written(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _curl(method: str, url: str, parameters: tuple[Parameter, ...], body: Body | None, *, takes_token: bool) -> str:
    """The request on a command line, with what it needs and no more."""
    query = {}
    for parameter in parameters:
        if parameter.place == "path":
            url = url.replace(f"{{{parameter.field.name}}}", parameter.example)
        elif parameter.field.required:
            query[parameter.field.name] = parameter.example
    head = "curl -s"
    if method != ("GET" if body is None else "POST"):
        head += f" -X {method}"
    if takes_token:
        head += ' -H "Authorization: Bearer $TOKEN"'
    lines = [head]
    if body is not None:
        lines[0] += " -H 'Content-Type: application/json'"
        lines.append("-d " + shlex.quote(json.dumps(json.loads(body.example), ensure_ascii=False)))
    lines.append(shlex.quote(f"{url}?{urlencode(query)}" if query else url))
    return " \\\n  ".join(lines)


def _anchor(text: str) -> str:
    """A fragment of the address that leads to it: `get-users-user_id-sessions`."""
    return "-".join("".join(letter if letter.isalnum() or letter == "_" else " " for letter in text).lower().split())
