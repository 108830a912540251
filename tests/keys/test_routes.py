"""The life of the keys over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from server.core.clock import rfc3339
from server.settings.tree import KeySettings, StoreSettings, TokenSettings
from tests.running import MASTER_KEY, Api, StartApi


async def keys(api: Api, token: str) -> list[dict[str, Any]]:
    response = await api.request("GET", "/keys", token)
    assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")
    listed: list[dict[str, Any]] = (await response.json())["keys"]
    return listed


async def states(api: Api, token: str) -> list[str]:
    return [key["state"] for key in await keys(api, token)]


async def test_keys_are_listed_without_their_private_halves(api: Api) -> None:
    token = await api.token("sahan")
    active, following = await keys(api, token)
    assert set(active) == {
        "kid", "algorithm", "state", "created_at", "activates_at", "accepted_until", "revoked_at"
    }  # fmt: skip
    assert (active["state"], active["algorithm"], active["revoked_at"]) == ("active", "ES256", None)
    assert (following["state"], following["accepted_until"]) == ("next", None)
    assert following["activates_at"] > rfc3339(api.clock.now_ms())
    # The key that others are derived from is no key that signs.
    assert len(await api.services.repositories.keys.list_keys()) == 3


async def test_a_key_that_waits_until_it_is_asked_for_has_no_time(start_api: StartApi) -> None:
    api = await start_api(keys=KeySettings(master_key=(SecretStr(MASTER_KEY),), rotate_every_days=0))
    assert [key["activates_at"] is None for key in await keys(api, await api.token("sahan"))] == [False, True]


async def test_a_rotation_lets_the_next_key_sign_and_a_second_one_has_to_wait(api: Api) -> None:
    api.clock.advance(700)
    token = await api.token("sahan")
    assert (await api.request("POST", "/keys/rotate", token)).status == 204
    assert await states(api, token) == ["retired", "active", "next"]
    assert (await api.request("POST", "/keys/rotate", token)).status == 204
    assert await states(api, token) == ["retired", "active", "next", "next"]
    problem = await api.problem(await api.request("POST", "/keys/rotate", token), 409, "rotation_under_way")
    assert (await keys(api, token))[2]["activates_at"] in problem["detail"]
    record = (await api.services.repositories.audit.records_from(None, 100))[-1]
    assert (record.event, record.actor_name, record.via) == ("keys_rotated", "sahan", "http")


async def test_whoever_revokes_the_key_of_ones_own_token_refreshes_it(api: Api) -> None:
    tokens = await api.log_in("sahan")
    before = await keys(api, tokens["token"])
    assert (await api.request("POST", f"/keys/{before[0]['kid']}/revoke", tokens["token"])).status == 204
    await api.problem(await api.request("GET", "/keys", tokens["token"]), 401, "token_invalid")
    refreshed = await (await api.request("POST", "/refresh", json={"refresh_token": tokens["refresh_token"]})).json()
    after = await keys(api, refreshed["token"])
    assert [key["state"] for key in after] == ["revoked", "active", "next"]
    assert after[1]["kid"] == before[1]["kid"]
    # Once more changes nothing, also in the audit log.
    head = await api.services.audit.head()
    assert (await api.request("POST", f"/keys/{before[0]['kid']}/revoke", refreshed["token"])).status == 204
    assert await api.services.audit.head() == head


async def test_there_is_always_a_key_that_signs(api: Api) -> None:
    """All that there are, one after the other: each time another one is made."""
    for _ in range(5):
        api.clock.advance(1)
        token = await api.token("sahan")
        listed = await keys(api, token)
        # The next one first: then nothing is left that could follow.
        for key in [key for key in reversed(listed) if key["state"] != "revoked"]:
            assert (await api.request("POST", f"/keys/{key['kid']}/revoke", token)).status == 204
    left = await states(api, await api.token("sahan"))
    assert [left.count(state) for state in ("active", "next", "retired")] == [1, 1, 0]


@pytest.mark.parametrize("kid", ["unknown", "%00", "%FF", "%ED%A0%80", "a" * 3000, "%F0%9F%94%91"])
async def test_an_unknown_key_is_not_found(api: Api, kid: str) -> None:
    head = await api.services.audit.head()
    token = await api.token("sahan")
    response = await api.request("POST", f"/keys/{kid}/revoke", token)
    await api.problem(response, 404, "not_found")
    after = await api.services.audit.head()
    assert head is not None
    assert after is not None
    assert after.seq == head.seq + 1, "the log-in alone"


async def test_the_key_that_others_are_derived_from_cannot_be_revoked(api: Api) -> None:
    hidden = [key.kid for key in await api.services.repositories.keys.list_keys() if key.algorithm == "HKDF"]
    token = await api.token("sahan")
    await api.problem(await api.request("POST", f"/keys/{hidden[0]}/revoke", token), 404, "not_found")


async def test_secrets_of_the_settings_are_changed_there(start_api: StartApi) -> None:
    api = await start_api(tokens=TokenSettings(algorithm="HS256", secret=(SecretStr(MASTER_KEY),)))
    token = await api.token("sahan")
    (secret,) = await keys(api, token)
    assert (secret["algorithm"], secret["state"]) == ("HS256", "active")
    problem = await api.problem(await api.request("POST", "/keys/rotate", token), 409, "keys_in_settings")
    assert "tokens.secret" in problem["detail"]
    response = await api.request("POST", f"/keys/{secret['kid']}/revoke", token)
    await api.problem(response, 409, "keys_in_settings")


async def test_without_the_master_key_nothing_is_changed_and_no_path_is_told(
    start_api: StartApi, tmp_path: Path
) -> None:
    store = StoreSettings(url=f"sqlite:///{tmp_path}/own.db")
    api = await start_api(store=store, keys=KeySettings())
    token = await api.token("sahan")
    (tmp_path / "own.db.key").write_text(f"{MASTER_KEY}\n")
    api.services.keys._custody._master_key = api.services.keys._custody._read_master_key()
    for path in ("/keys/rotate", f"/keys/{api.services.keys.current.signing_key().kid}/revoke"):
        response = await api.request("POST", path, token)
        assert str(tmp_path) not in await response.text()
        await api.problem(response, 503, "store_unavailable")
