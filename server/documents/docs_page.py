"""The /docs page: the OpenAPI document as HTML without a script, with a policy that allows only its style."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

from server.core.errors import ApiError, NotFound
from server.http.errors import InternalError, MethodNotAllowed
from server.http.pages import Page, page_of

Json = dict[str, Any]

# The failures without a route, and that of a defect. The routes name all others.
_BESIDE_ROUTES = (NotFound, MethodNotAllowed, InternalError)

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --accent: #2456c7; }
@media (prefers-color-scheme: dark) { :root { --accent: #8fb1ff; } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1.5rem; }
h1 { margin-bottom: 0; } h2 { border-bottom: 1px solid var(--line); margin-top: 2.5rem; }
nav a { margin-right: 1rem; white-space: nowrap; } a { color: var(--accent); }
code, .path { font-family: ui-monospace, monospace; font-size: .92em; overflow-wrap: anywhere; }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0; padding: .5rem .9rem; }
summary { cursor: pointer; } summary .method { display: inline-block; font-weight: 700; min-width: 4.5rem; }
table { border-collapse: collapse; width: 100%; } td, th { border-bottom: 1px solid var(--line); padding: .3rem .6rem;
text-align: left; vertical-align: top; } th { font-weight: 600; } :target { background: var(--soft); }
pre { background: var(--soft); border-radius: .5rem; overflow-x: auto; padding: .8rem; }
"""


def docs_page(document: Json) -> Page:
    """The page of an OpenAPI document."""
    tags = [tag["name"] for tag in document["tags"]]
    links = "".join(f'<a href="#{_anchor(tag)}">{escape(tag)}</a>' for tag in tags)
    sections = "".join(_section(tag, document) for tag in tags)
    return page_of(f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Watchword API</title><style>{_STYLE}</style></head><body>
<h1>Watchword API</h1>
<p>Version {escape(document["info"]["version"])}. The same, for programs: <a href="/openapi.json">/openapi.json</a>.</p>
<nav>{links}<a href="#problems">Problems</a><a href="/inspect">Inspect a token</a></nav>
<h2>Start here</h2>
<p>Log in, then send the token with every call:</p>
<pre>curl -s -X POST -H 'Content-Type: application/json' \\
  -d '{{"username": "admin", "password": "…"}}' http://127.0.0.1:8080/login

curl -s -H 'Authorization: Bearer &lt;token&gt;' http://127.0.0.1:8080/users</pre>
{sections}
<h2 id="problems">Problems</h2>
<p>Every failure is <code>application/problem+json</code> (RFC 9457). Branch on <code>code</code>; quote
<code>request_id</code> when you ask for help.</p>
{_table(("code", "status", "meaning"), _problem_rows(document))}
</body></html>
""")


def _section(tag: str, document: Json) -> str:
    operations = [
        _operation(method, path, operation, document["components"]["schemas"])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if tag in operation["tags"]
    ]
    return f'<h2 id="{_anchor(tag)}">{escape(tag)}</h2>{"".join(operations)}'


def _operation(method: str, path: str, operation: Json, schemas: Json) -> str:
    parts = [f"<p>{escape(operation['description'])}</p>"]
    parameters = operation.get("parameters", [])
    if parameters:
        rows = [(_code(part["name"]), escape(part["in"]), _kind(part["schema"])) for part in parameters]
        parts.append(_table(("parameter", "in", "value"), rows))
    if "requestBody" in operation:
        schema = schemas[_name(operation["requestBody"]["content"]["application/json"]["schema"])]
        parts.append(_table(("body field", "value", ""), _field_rows(schema)))
    rows = [
        (_code(status), _answer(answer, schemas), _markup(answer["description"]))
        for status, answer in operation["responses"].items()
    ]
    parts.append(_table(("status", "answer", "meaning"), rows))
    head = f'<span class="method">{method.upper()}</span> <span class="path">{escape(path)}</span>'
    return f"<details><summary>{head} — {escape(operation['summary'])}</summary>{''.join(parts)}</details>"


def _answer(answer: Json, schemas: Json) -> str:
    for content_type, content in answer.get("content", {}).items():
        name = _name(content["schema"])
        fields = ", ".join(_code(field) for field in schemas[name]["properties"]) if name in schemas else ""
        return fields or _code(content_type)
    return "no body" if "content" not in answer else ""


def _field_rows(schema: Json) -> list[tuple[str, str, str]]:
    required = schema.get("required", [])
    return [
        (_code(name), _kind(part), "required" if name in required else "optional")
        for name, part in schema["properties"].items()
    ]


def _kind(schema: Json) -> str:
    """A schema in a few words."""
    choices = [_kind(part) for part in schema.get("anyOf", [])]
    if choices:
        return " or ".join(choices)
    words = [str(schema.get("type", "any"))]
    for key, text in (("minimum", "from"), ("maximum", "to"), ("minLength", "least length"), ("maxLength", "most")):
        if key in schema:
            words.append(f"{text} {schema[key]}")
    if "pattern" in schema:
        words.append(f"like {schema['pattern']}")
    if "description" in schema:
        words.append(schema["description"])
    return escape(", ".join(words))


def _problem_rows(document: Json) -> list[tuple[str, str, str]]:
    named = {error.code for error in _BESIDE_ROUTES} | _named_codes(document)
    found = {error.code: error for error in _leaves(ApiError) if error.code in named}
    return [
        (f'<span id="{code}">{_code(code)}</span>', str(error.status), escape(error.default_detail))
        for code, error in sorted(found.items())
    ]


def _named_codes(document: Json) -> set[str]:
    """The codes of all failures that routes name."""
    return {
        code
        for methods in document["paths"].values()
        for operation in methods.values()
        for answer in operation["responses"].values()
        for content in answer.get("content", {}).values()
        for code in content["schema"].get("properties", {}).get("code", {}).get("enum", ())
    }


def _leaves(error: type[ApiError]) -> Iterable[type[ApiError]]:
    children = error.__subclasses__()
    for child in children:
        yield from _leaves(child)
    if not children:
        yield error


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """An HTML table. The cells have to be HTML."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _name(schema: Json) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _markup(text: str) -> str:
    """The text as HTML, with `…` as code."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if index % 2 else piece for index, piece in enumerate(pieces))


def _anchor(tag: str) -> str:
    return tag.lower().replace(" ", "-")
