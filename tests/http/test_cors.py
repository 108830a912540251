"""Cross-origin access by exact origins."""

from __future__ import annotations

import pytest

from server.settings.tree import CorsSettings
from tests.running import Api, StartApi

ORIGIN = "https://app.example.com"
PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "PATCH",
    "Access-Control-Request-Headers": "authorization",
}


@pytest.fixture
async def open_api(start_api: StartApi) -> Api:
    return await start_api(cors=CorsSettings(origins=(ORIGIN,)))


async def test_an_allowed_origin_may_read_answers_and_failures(open_api: Api) -> None:
    for path in ("/health/live", "/me", "/nothing"):
        response = await open_api.request("GET", path, headers={"Origin": ORIGIN})
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert response.headers["Access-Control-Allow-Credentials"] == "true"
        assert "X-Request-Id" in response.headers["Access-Control-Expose-Headers"]
        assert response.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", ORIGIN + ".evil.example", ORIGIN.upper(), "null", "*", None]
)
async def test_any_other_origin_may_not(open_api: Api, origin: str | None) -> None:
    headers = {} if origin is None else {"Origin": origin}
    response = await open_api.request("GET", "/health/live", headers=headers)
    assert response.status == 200
    assert not [name for name in response.headers if name.startswith("Access-Control")]
    assert response.headers["Vary"] == "Origin"


async def test_preflight_names_the_methods_of_the_path(open_api: Api) -> None:
    response = await open_api.request("OPTIONS", "/me", headers=PREFLIGHT)
    assert (response.status, await response.read()) == (204, b"")
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert response.headers["Access-Control-Allow-Methods"] == "GET, HEAD, PATCH"
    assert response.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type"
    assert response.headers["X-Request-Id"]


async def test_an_app_may_send_the_headers_that_it_needs(start_api: StartApi) -> None:
    origins = ("capacitor://localhost", "chrome-extension://abcdefghijklmnop", "app://.")
    api = await start_api(cors=CorsSettings(origins=origins, headers=("traceparent", "X-Trace")))
    token = await api.token("lak")
    for origin in origins:
        response = await api.request("OPTIONS", "/refresh", headers=PREFLIGHT | {"Origin": origin})
        assert response.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type, traceparent, X-Trace"
        assert response.headers["Access-Control-Allow-Origin"] == origin
        sent = {"Origin": origin, "Sec-Fetch-Site": "cross-site", "traceparent": "00-1-2-01"}
        response = await api.request("GET", "/me", token, headers=sent)
        assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (200, origin)


async def test_preflight_from_elsewhere_is_just_a_wrong_method(open_api: Api) -> None:
    response = await open_api.request("OPTIONS", "/me", headers=PREFLIGHT | {"Origin": "https://evil.example"})
    await open_api.problem(response, 405, "method_not_allowed")
    assert not [name for name in response.headers if name.startswith("Access-Control")]


async def test_options_without_preflight_is_a_wrong_method(open_api: Api) -> None:
    await open_api.problem(
        await open_api.request("OPTIONS", "/me", headers={"Origin": ORIGIN}), 405, "method_not_allowed"
    )


async def test_without_origins_there_is_no_cors_at_all(api: Api) -> None:
    response = await api.request("OPTIONS", "/me", headers=PREFLIGHT)
    await api.problem(response, 405, "method_not_allowed")
    assert not {"Vary", "Access-Control-Allow-Origin"} & set(response.headers)
