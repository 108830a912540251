"""The page at /docs says all that there is to say of each route, and loads little."""

from __future__ import annotations

import gzip
import itertools
import json
import re
import shlex
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from server.core.errors import ApiError
from server.documents.docs_page import docs_page
from server.pages.assets import Assets
from server.pages.rendering import Renderer
from server.routes import ROUTES
from tests.documents.test_documents import ELSEWHERE, codes_of
from tests.running import Api

# What the first load of a page may take, in bytes.
MOST = 60 * 1024


class Elements(HTMLParser):
    """What a page consists of: elements with their attributes, and the texts of those that tests look at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.curls: list[str] = []
        self._in_curl = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if dict(attrs).get("class") == "curl":
            self.curls.append("")
            self._in_curl = True

    def handle_endtag(self, tag: str) -> None:
        self._in_curl = self._in_curl and tag != "code"

    def handle_data(self, data: str) -> None:
        if self._in_curl:
            self.curls[-1] += data


async def page_text(api: Api) -> str:
    return await (await api.request("GET", "/docs")).text()


async def test_each_route_is_told_with_who_may_call_it_and_each_of_its_fields(api: Api) -> None:
    text = await page_text(api)
    document = json.loads(await (await api.request("GET", "/openapi.json")).text())
    parts = text.partition('<section class="problems"')[0].split('<details class="route"')[1:]
    assert len(parts) == len(ROUTES)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            [part] = [part for part in parts if f'data-method="{method.upper()}" data-path="{path}"' in part]
            assert f"Open to <b>{operation['x-access']}</b>" in part
            assert ("It asks for a recent sign-in" in part) == bool(operation["x-recent-sign-in"])
            for parameter in operation.get("parameters", ()):
                assert f'data-name="{parameter["name"]}"' in part
            for name in field_names(operation, document):
                assert re.search(rf"<code>(\w+(\[\])?\.)*{name}</code>", part), (path, name)
            for answer in operation["responses"].values():
                for code in answer.get("content", {}).get("application/problem+json", {}).get("examples", ()):
                    assert f'<a href="#{code}">' in part


def field_names(operation: dict[str, Any], document: dict[str, Any]) -> set[str]:
    """The fields of the bodies of a route, without those of its failures."""
    given = [operation["requestBody"]] if "requestBody" in operation else []
    answers = [answer for status, answer in operation["responses"].items() if status < "400"]
    contents = [content for part in (*given, *answers) for content in part.get("content", {}).values()]
    names = [content["schema"].get("$ref", "").rpartition("/")[2] for content in contents]
    schemas = document["components"]["schemas"]
    return {field for name in names if name for field in schemas[name]["properties"]}


async def test_every_problem_type_has_an_entry_and_nothing_else_has(api: Api) -> None:
    shown = set(re.findall(r'<details class="failure" id="(\w+)">', await page_text(api)))
    assert shown == codes_of(ApiError) - {ELSEWHERE}


async def test_every_address_on_the_page_leads_to_one_place(api: Api) -> None:
    elements = Elements(await page_text(api)).found
    names = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(names) == len(set(names))
    links = {attributes["href"] for tag, attributes in elements if tag == "a"}
    assert {link[1:] for link in links if link and link.startswith("#")} <= set(names)
    assert {link for link in links if link and not link.startswith("#")} == {"/docs", "/inspect", "/openapi.json"}


async def test_each_line_with_curl_is_a_command_that_sends_the_example(api: Api) -> None:
    curls = Elements(await page_text(api)).curls
    assert len(curls) == len(ROUTES) + 1
    for curl, route in zip(curls[1:], ROUTES_IN_ORDER, strict=True):
        words = shlex.split(curl)
        options = dict(itertools.pairwise(words))
        assert words[:2] == ["curl", "-s"]
        assert urlsplit(words[-1]).netloc == "127.0.0.1:8080"
        assert options.get("-X", "POST" if "-d" in words else "GET") == route.method
        assert ("Authorization: Bearer $TOKEN" in words) == route.access.takes_token
        assert ("-d" in words) == (route.body is not None)
        if route.body is not None:
            route.body.model_validate_json(options["-d"])


# By tag, and then by path.
ROUTES_IN_ORDER = [
    route
    for tag in dict.fromkeys(route.tag for route in ROUTES)
    for route in sorted(ROUTES, key=lambda route: route.path)
    if route.tag == tag
]


async def test_its_policy_lets_nothing_in_but_files_of_this_server(api: Api) -> None:
    response = await api.request("GET", "/docs")
    policy = response.headers["Content-Security-Policy"]
    for directive in (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "require-trusted-types-for 'script'",
    ):
        assert directive in policy.split("; ")
    assert "unsafe" not in policy
    for tag, attributes in Elements(await response.text()).found:
        assert tag != "style"
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            target = attributes.get(name) or ""
            assert not target or target.startswith(("/", "#")), (tag, target)


async def test_it_loads_less_than_sixty_kilobytes(api: Api) -> None:
    response = await api.request("GET", "/docs", headers={"Accept-Encoding": "gzip"})
    page = await response.text()
    files = set(re.findall(r"/assets/\w+/[\w.-]+", page))
    assert len(files) > 10
    size = len(gzip.compress(page.encode()))
    for file in files:
        size += len(gzip.compress(await (await api.request("GET", file)).read()))
    assert size < MOST


EVIL = "\" evil=1 '><evil>"


def test_it_escapes_what_it_shows() -> None:
    """Roles, the name of the service and its address come from the settings."""
    schema = {"description": EVIL, "properties": {EVIL: {"type": EVIL, "description": f"`{EVIL}`"}}}
    parameter = {"name": EVIL, "in": EVIL, "required": True, "description": EVIL, "example": EVIL}
    body = {"schema": {"$ref": "Body"}, "example": {EVIL: EVIL}}
    operation = {
        "summary": f"`{EVIL}`",
        "tags": [EVIL],
        "x-access": EVIL,
        "x-recent-sign-in": EVIL,
        "security": [{"bearer": []}],
        "parameters": [parameter | {"schema": {"enum": [EVIL]}}],
        "requestBody": {"required": True, "content": {"application/json": body}},
        "responses": {"200": {"headers": {EVIL: {"description": EVIL}}, "content": {EVIL: {"schema": {}}}}},
    }
    document = {
        "info": {"version": EVIL},
        "tags": [{"name": EVIL}],
        "paths": {f"/{EVIL}": {EVIL: operation}},
        "components": {
            "schemas": {"Body": schema, "Problem": schema},
            "examples": {EVIL: {"value": {"detail": EVIL, "status": EVIL}}},
        },
    }
    page = docs_page(document, Renderer(Assets.load(), EVIL, ("en",)), f"http://{EVIL}").html.body.decode()
    for tag, attributes in Elements(page).found:
        assert tag != "evil"
        assert "evil" not in attributes
    assert page.count("&lt;evil&gt;") > 20
