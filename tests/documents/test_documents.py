"""What the server says of itself."""

from __future__ import annotations

from pathlib import Path

from server.core.errors import ApiError
from server.http.errors import InternalError
from server.routes import ROUTES
from tests.running import Api
from watchword_client.errors import KeysUnavailable

# A service that verifies our tokens answers so, and Watchword never.
ELSEWHERE = KeysUnavailable.code


def test_the_docs_name_every_route_and_every_code() -> None:
    text = (Path(__file__).parents[2] / "docs" / "http.md").read_text("utf-8")
    for route in ROUTES:
        assert f"`{route.name}`" in text, route.name
    for code in codes_of(ApiError) - {InternalError.code, ELSEWHERE}:
        assert f"| `{code}` |" in text, code
    assert ELSEWHERE not in text


def codes_of(kind: type[ApiError]) -> set[str]:
    """The codes of the leaves of the error tree."""
    children = kind.__subclasses__()
    return {code for child in children for code in codes_of(child)} if children else {kind.code}


def test_the_docs_say_which_routes_ask_for_a_recent_sign_in() -> None:
    lines = (Path(__file__).parents[2] / "docs" / "http.md").read_text("utf-8").splitlines()
    rows = {route.name: next(line for line in lines if f"`{route.name}`" in line) for route in ROUTES}
    assert {name for name, line in rows.items() if "recent" in line.split("|")[2]} == {
        route.name for route in ROUTES if route.recent
    }


async def test_public_documents_have_the_headers_that_all_answers_have(api: Api) -> None:
    for path in ("/docs", "/openapi.json", "/.well-known/jwks.json", "/health/live"):
        headers = (await api.request("GET", path)).headers
        assert (headers["Server"], headers["X-Content-Type-Options"]) == ("Watchword", "nosniff")
        assert headers.getall("Content-Type") == [headers["Content-Type"]]


async def test_openapi_describes_every_row(api: Api) -> None:
    response = await api.request("GET", "/openapi.json")
    document = await response.json()
    assert document["openapi"] == "3.1.0"
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(route.method, route.path) for route in ROUTES}
    login = document["paths"]["/login"]["post"]
    assert login["security"] == []
    assert set(login["responses"]) == {"200", "400", "403", "408", "413", "415", "422", "429", "503"}
    for route in ROUTES:
        operation = document["paths"][route.path][route.method.lower()]
        said = f"Asks for a recent sign-in: {route.recent}."
        assert operation["description"].endswith(said) == bool(route.recent)
        refusals = operation["responses"].get("401", {}).get("description", "")
        assert ("`reauthentication_required`" in refusals) == bool(route.recent)
    assert set(document["paths"]["/users"]["get"]["responses"]) == {"200", "400", "401", "403", "422", "503"}
