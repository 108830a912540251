"""GET /metrics, and that what happens is found there."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from server.core.errors import StoreUnavailable
from server.http.methods import OTHER
from server.mail.outbox_model import MailResult
from server.metrics.catalogue import Catalogue
from server.metrics.listener import MOST_CONNECTIONS
from server.metrics.process_state import Cell
from server.routes import route_table
from server.settings import Settings
from server.settings.tree import PasswordSettings
from tests.mail.outboxes import invitation, outbox_on, put
from tests.metrics.conftest import StartWatched
from tests.metrics.scraping import Watched, read, requests, value
from tests.running import PASSWORD, Api

on_sqlite = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
SECRET = "hunter2-correct-horse"


async def send_raw(api: Api, data: bytes) -> bytes:
    """Bytes as they are, and all that is answered."""
    reader, writer = await asyncio.open_connection(api.client.server.host, api.client.server.port)
    writer.write(data)
    answer = await reader.readline()
    writer.close()
    return answer


def openmetrics_names(text: str) -> set[str]:
    read_families: Any = read_openmetrics
    return {family.name for family in read_families(text)}


async def refresh(api: Api, token: str | None) -> aiohttp.ClientResponse:
    return await api.request("POST", "/refresh", json={"refresh_token": token} if token else {})


@on_sqlite
async def test_requests_are_counted_by_their_route_and_never_by_their_path(watched: Watched) -> None:
    api = watched.api
    token = await api.token("lak")
    me = (await (await api.request("GET", "/me", token)).json())["user"]["id"]
    await api.request("GET", "/me", token)
    await api.request("HEAD", "/me", token)
    await api.request("GET", f"/users/{me}", token)
    await api.request("GET", f"/{SECRET}?token={SECRET}")
    await api.request("PUT", "/me", token)
    await api.request("PROPFIND", "/me", token)
    await send_raw(api, b"\x16\x03\x01 hello\r\n\r\n")
    text = await watched.text()
    samples = read(text)
    assert requests(samples, "POST", "/login", 200) == 1
    assert requests(samples, "GET", "/me", 200) == 2
    assert requests(samples, "HEAD", "/me", 200) == 1
    assert requests(samples, "GET", "/users/{user_id}", 403) == 1
    assert requests(samples, "GET", OTHER, 404) == 1
    assert requests(samples, "PUT", OTHER, 405) == 1
    assert requests(samples, OTHER, OTHER, 405) == 1
    assert requests(samples, OTHER, OTHER, 400) == 1
    assert SECRET not in text
    assert me not in text
    # The scrape itself is no request of the API.
    assert "/metrics" not in text


@on_sqlite
async def test_logins_are_counted_by_how_they_ended(watched: Watched) -> None:
    api = watched.api
    await api.token("lak")
    for _ in range(21):
        await api.request("POST", "/login", json={"username": "lak", "password": "wrong"})
    await api.request("POST", "/login", json={"username": "lak"})
    await api.services.repositories.close()
    await api.request("POST", "/login", json={"username": "sahan", "password": PASSWORD})
    # It is refused before the store is asked.
    api.services.hashes.close()
    await api.request("POST", "/login", json={"username": "sahan", "password": PASSWORD})
    samples = await watched.samples()
    found = {
        result: value(samples, "watchword_login_total", result=result)
        for result in ("ok", "invalid_credentials", "too_many_attempts", "overloaded", "store_unavailable")
    }
    # A body that can't be read is no login.
    assert found == {
        "ok": 1,
        "invalid_credentials": 20,
        "too_many_attempts": 1,
        "overloaded": 1,
        "store_unavailable": 1,
    }
    assert value(samples, "watchword_ready") == 0
    assert value(samples, "watchword_sessions_live") is None
    assert (value(samples, "watchword_store_failures_total", operation="read") or 0) >= 1


@on_sqlite
async def test_uses_of_refresh_tokens_are_counted_by_how_they_ended(start_watched: StartWatched) -> None:
    watched = await start_watched()
    api = watched.api
    first = (await api.log_in("lak"))["refresh_token"]
    other = await api.token("sahan")
    second = (await (await refresh(api, first)).json())["refresh_token"]
    conflict = await api.request("POST", "/refresh", other, json={"refresh_token": second})
    assert conflict.status == 400
    await refresh(api, second)
    api.clock.advance(31)
    assert (await refresh(api, first)).status == 401
    await refresh(api, None)
    await refresh(api, "wwr_nonsense")
    late = (await api.log_in("lak"))["refresh_token"]
    api.clock.advance(1_209_601)
    assert (await refresh(api, late)).status == 401
    samples = await watched.samples()
    found = {
        result: value(samples, "watchword_refresh_total", result=result)
        for result in ("ok", "refresh_invalid", "refresh_expired", "refresh_reused", "session_conflict")
    }
    assert found == {"ok": 2, "refresh_invalid": 2, "refresh_expired": 1, "refresh_reused": 1, "session_conflict": 1}


@on_sqlite
async def test_checks_of_tokens_are_counted_by_what_was_found(watched: Watched) -> None:
    api = watched.api
    token = await api.token("lak")
    for _ in range(3):
        await api.request("GET", "/me", token)
    await api.request("GET", "/me")
    await api.request("GET", "/me", "x.y.z")
    await api.request("GET", "/me", headers={"Authorization": "Basic abc"})
    await api.request("POST", "/logout", token)
    await api.request("GET", "/me", token)
    late = await api.token("lak")
    api.clock.advance(301)
    await api.request("GET", "/me", late)
    samples = await watched.samples()
    found = {
        (result, remembered): value(samples, "watchword_token_check_total", result=result, remembered=remembered)
        for result in ("valid", "missing", "invalid", "expired", "revoked")
        for remembered in ("true", "false")
    }
    assert {key: count for key, count in found.items() if count} == {
        ("valid", "false"): 1,
        ("valid", "true"): 2,
        ("missing", "false"): 2,
        ("invalid", "false"): 1,
        ("revoked", "true"): 1,
        ("expired", "false"): 1,
    }


async def test_living_sessions_are_counted(start_watched: StartWatched) -> None:
    watched = await start_watched()
    api = watched.api
    assert value(await watched.samples(), "watchword_sessions_live") == 0
    tokens = [await api.token("lak") for _ in range(3)]
    assert await api.services.sessions.count_living() == 3
    await api.request("POST", "/logout", tokens[0])
    assert await api.services.sessions.count_living() == 2
    api.clock.advance(1_209_600)
    await api.token("sahan")
    assert await api.services.sessions.count_living() == 1


async def test_the_store_and_hashes_are_measured(watched: Watched) -> None:
    before = await watched.samples()
    await watched.api.token("lak")
    await watched.api.services.revocations.refresh()
    after = await watched.samples()

    def more(name: str, **labels: str) -> float:
        return (value(after, name, **labels) or 0) - (value(before, name, **labels) or 0)

    assert more("watchword_hash_wait_seconds_count") == 1
    for operation in ("read", "write", "follow"):
        assert more("watchword_store_seconds_count", operation=operation) >= 1
        assert more("watchword_store_seconds_sum", operation=operation) > 0
        assert more("watchword_store_failures_total", operation=operation) == 0
    assert value(after, "watchword_ready") == 1
    assert value(after, "watchword_workers") == 1


@on_sqlite
async def test_hashes_that_wait_are_shown(start_watched: StartWatched) -> None:
    watched = await start_watched(passwords=PasswordSettings(bcrypt_cost=10, hash_threads=1))
    hashes = watched.api.services.hashes
    waiting = [asyncio.create_task(hashes.hash(PASSWORD)) for _ in range(4)]
    await asyncio.sleep(0)
    assert value(await watched.samples(), "watchword_hash_queue_depth") == hashes.waiting > 0
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


@on_sqlite
@pytest.mark.usefixtures("no_background")
async def test_revocations_that_are_not_read_are_behind(watched: Watched) -> None:
    row = watched.metrics.shared.rows[0]
    row[Cell.FOLLOWED_AT] -= 60
    assert (value(await watched.samples(), "watchword_revocation_lag_seconds") or 0) >= 60
    services = watched.api.services
    assert services.watchers.followed is not None
    await services.watchers.followed()
    assert (value(await watched.samples(), "watchword_revocation_lag_seconds") or 0) < 60


@on_sqlite
async def test_a_server_that_ends_is_not_ready(watched: Watched) -> None:
    watched.api.services.readiness.drain()
    assert value(await watched.samples(), "watchword_ready") == 0


@on_sqlite
async def test_the_age_of_the_signing_key_is_shown(watched: Watched) -> None:
    made_at = watched.api.services.keys.current.keyring.records[0].activates_at
    watched.api.clock.advance(3600)
    age = (watched.api.clock.now_ms() - made_at) / 1000
    assert value(await watched.samples(), "watchword_signing_key_age_seconds") == age >= 3600


@on_sqlite
async def test_prometheus_and_openmetrics_are_spoken(watched: Watched) -> None:
    await watched.api.token("lak")
    names = {family.name for family in text_string_to_metric_families(await watched.text())}
    response = await watched.scraper.get(
        "/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}
    )
    assert response.content_type == "application/openmetrics-text"
    text = await response.text()
    assert text.endswith("# EOF\n")
    assert openmetrics_names(text) == names
    assert (await watched.scraper.get("/metrics")).content_type == "text/plain"


@on_sqlite
async def test_formats_that_do_not_exist_are_passed_over(watched: Watched) -> None:
    """prometheus-client converts versions to numbers, and repeats them in the answer."""
    openmetrics = "application/openmetrics-text"
    odd = ["x", "\u00fc", "\udcff", "2.0.0", "99", 5000 * "9", '"1.0.0"', "1..0", "-1", "\u0661.0.0", "1.0.0;version=x"]
    for media_type in (openmetrics, "text/plain"):
        for version in odd:
            answer = await ask_for(watched, f"{media_type}; version={version}")
            assert answer.startswith("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n")
            # The next one counts.
            answer = await ask_for(watched, f"{media_type};version={version}, {openmetrics}; version=1.0.0;q=0.5")
            assert answer.startswith(f"HTTP/1.1 200 OK\r\nContent-Type: {openmetrics}; version=1.0.0;")


async def ask_for(watched: Watched, accept: str) -> str:
    reader, writer = await asyncio.open_connection(watched.scraper.server.host, watched.scraper.server.port)
    head = f"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode("utf-8", "surrogateescape"))
    answer = await reader.read()
    writer.close()
    return answer.decode()


@on_sqlite
async def test_every_label_is_of_a_closed_set(watched: Watched) -> None:
    api = watched.api
    token = await api.token("lak")
    for method in ("GET", "POST", "DELETE", "PATCH", "OPTIONS", "LOCK"):
        for path in ("/", "/me", "/users/x", "/sessions/y", "/..", "/%00", "/me/sessions/z", "/keys/kid"):
            await api.request(method, path, token, headers={"Origin": "https://evil.example"})
    routes = [(row.route.method, row.route.path) for row in route_table(Settings()).rows]
    closed: dict[tuple[str, str], set[str]] = {}
    for family in Catalogue(routes).counted:
        for place, label in enumerate(family.labels):
            values = {str(series[place]) for series in family.series}
            closed[family.name.removesuffix("_total"), label] = values
    for found in text_string_to_metric_families(await watched.text()):
        for sample in found.samples:
            labels = {name: text for name, text in sample.labels.items() if name != "le"}
            if found.name.startswith("process_"):
                assert labels == {"worker": "0"}
            elif found.name == "watchword_build_info":
                assert set(labels) == {"version", "python_version"}
            else:
                assert all(text in closed[found.name, name] for name, text in labels.items())


@on_sqlite
async def test_nothing_else_is_served_there(watched: Watched) -> None:
    scraper = watched.scraper
    assert (await scraper.head("/metrics")).status == 200
    assert (await scraper.post("/metrics")).status == 405
    for path in ("/", "/me", "/health/live", "/metrics/x", "/docs"):
        response = await scraper.get(path)
        assert response.status == 404
        assert response.headers["Server"] == "Watchword"
    assert (await watched.api.request("GET", "/metrics")).status == 404


@on_sqlite
async def test_many_scrapes_and_clients_that_say_nothing(watched: Watched) -> None:
    host, port = watched.scraper.server.host, watched.scraper.server.port
    silent = [await asyncio.open_connection(host, port) for _ in range(MOST_CONNECTIONS + 8)]
    texts = await asyncio.gather(*(watched.text() for _ in range(8)))
    assert all("watchword_ready 1.0" in text for text in texts)
    ended = [await reader.read() for reader, _ in silent[:8]]
    assert ended == [b""] * 8
    for _, writer in silent:
        writer.close()


@on_sqlite
async def test_what_can_not_be_found_out_now_is_left_out(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: Any) -> int:
        raise StoreUnavailable

    monkeypatch.setattr(watched.api.services.repositories.sessions, "count_living", never)
    samples = await watched.samples()
    assert value(samples, "watchword_sessions_live") is None
    assert value(samples, "watchword_workers") == 1


def test_a_port_of_its_own() -> None:
    with pytest.raises(ValueError, match=re.escape("metrics.port: is that of server.port")):
        Settings.model_validate({"server": {"port": 9000}, "metrics": {"port": 9000}})
    open_to_all = Settings.model_validate({"metrics": {"port": 9464, "host": "192.0.2.7"}})
    assert any(line.startswith("metrics.host = 192.0.2.7") for line in open_to_all.weaknesses())
    assert not Settings.model_validate({"metrics": {"port": 9464, "host": "::1"}}).weaknesses()
    assert not Settings.model_validate({"metrics": {"host": "192.0.2.7"}}).weaknesses()


async def test_mails_are_counted_by_how_they_ended_and_those_that_wait(start_watched: StartWatched) -> None:
    watched = await start_watched()
    repositories, count = watched.api.services.repositories, watched.api.services.watchers.mails
    assert count is not None
    assert value(await watched.samples(), "watchword_mails_waiting") == 0
    await put(repositories, outbox_on(repositories, watched.api.clock), invitation(), invitation())
    assert await repositories.mails.count_waiting() == 2
    count(MailResult.SENT)
    count(MailResult.REFUSED)
    count(MailResult.SENT)
    samples = await watched.samples()
    found = {result: value(samples, "watchword_mail_total", result=result) for result in MailResult}
    assert {result: number for result, number in found.items() if number} == {"sent": 2, "refused": 1}
