"""With a `server.public_url` the own origin is that one, whatever `Host` and the proxies in between say."""

from __future__ import annotations

from typing import Any

import pytest

from server.sessions.cookies import SESSION_COOKIE
from server.settings.tree import CorsSettings, ServerSettings
from tests.running import PASSWORD, Api, StartApi

PUBLIC = "https://auth.example.com"
ALLOWED = "https://app.example.com"
CREDENTIALS = {"username": "lak", "password": PASSWORD, "cookie": True}
# What is asked here is answered without the store, or alike by both.
pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
LOOPBACK = ServerSettings(public_url="http://localhost:8080")


@pytest.fixture
async def api(start_api: StartApi) -> Api:
    return await start_api(server=ServerSettings(public_url=PUBLIC), cors=CorsSettings(origins=(ALLOWED,)))


async def log_in(api: Api, **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.request("POST", "/login", json=CREDENTIALS, headers=sent)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": PUBLIC},
        # As it arrives when a proxy has put its own name for the server into Host.
        {"Origin": PUBLIC, "Host": "watchword:8080"},
        {"Origin": PUBLIC, "Host": "evil.example", "Sec_Fetch_Site": "same-origin"},
        {"Origin": ALLOWED, "Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "same-origin"},
        {},
    ],
)
async def test_pages_of_the_public_origin_sign_in_and_refresh(api: Api, headers: dict[str, str]) -> None:
    response = await log_in(api, **headers)
    assert response.status == 200, await response.text()
    cookie = response.cookies[SESSION_COOKIE].value
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await api.request("POST", "/refresh", headers=sent | {"Cookie": f"{SESSION_COOKIE}={cookie}"})
    assert response.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        # The page of another name of this server, and what calls itself so (DNS rebinding): Host is what they say.
        {"Origin": "http://127.0.0.1:8080", "Host": "127.0.0.1:8080"},
        {"Origin": "https://evil.example", "Host": "evil.example"},
        {"Origin": "https://evil.example", "Host": "evil.example", "Sec_Fetch_Site": "same-origin"},
        {"Origin": "https://evil.example", "Host": "auth.example.com"},
        {"Origin": "https://evil.example", "X_Forwarded_Host": "evil.example"},
        {"Origin": "http://auth.example.com", "Host": "auth.example.com"},
        {"Origin": PUBLIC + ":8443"},
        {"Origin": PUBLIC + "."},
        {"Origin": PUBLIC + "/"},
        {"Origin": "HTTPS://auth.example.com"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
    ],
)
async def test_pages_of_any_other_origin_do_not(api: Api, headers: dict[str, str]) -> None:
    response = await log_in(api, **headers)
    problem = await api.problem(response, 403, "csrf")
    assert "Set-Cookie" not in response.headers
    if headers.get("Origin"):
        assert PUBLIC in problem["detail"]
    cookie = (await log_in(api)).cookies[SESSION_COOKIE].value
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await api.request("POST", "/logout", headers=sent | {"Cookie": f"{SESSION_COOKIE}={cookie}"})
    await api.problem(response, 403, "csrf")


async def test_a_problem_leads_there_and_never_to_the_host_of_the_request(api: Api) -> None:
    hostile = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    for path in ("/users", "/nowhere"):
        response = await api.request("GET", path, headers=hostile)
        assert "evil" not in await response.text()
        assert (await response.json(content_type=None))["type"].startswith(f"{PUBLIC}/docs#")
    # The one answer that a handler makes by itself.
    response = await api.request("POST", "/logout", headers={"Cookie": f"{SESSION_COOKIE}=useless"})
    await api.problem(response, 401, "refresh_invalid")


async def test_the_own_origin_needs_no_cors_and_gets_none(api: Api) -> None:
    response = await log_in(api, Origin=PUBLIC)
    assert "Access-Control-Allow-Origin" not in response.headers
    asked = {"Origin": PUBLIC, "Access-Control-Request-Method": "POST"}
    response = await api.request("OPTIONS", "/login", headers=asked)
    await api.problem(response, 405, "method_not_allowed")


async def test_a_reload_changes_it_for_the_next_request(api: Api) -> None:
    settings = api.live.services.settings.model_copy(update={"server": LOOPBACK})
    assert (await log_in(api, Origin=PUBLIC)).status == 200
    await api.live.prepare(settings)
    api.live.take()
    await api.problem(await log_in(api, Origin=PUBLIC), 403, "csrf")
    assert (await log_in(api, Origin=LOOPBACK.public_url)).status == 200
