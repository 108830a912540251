"""GET /settings: what is in force, with secrets masked as `config show` does it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from server.settings import Settings, load_settings
from server.settings.display import listing, plain
from server.settings.load import settings_of_json
from server.settings.tree import (
    CorsSettings,
    KeySettings,
    PasswordSettings,
    RoleSettings,
    StoreSettings,
    TokenSettings,
    default_roles,
    setting_names,
)
from tests.running import MASTER_KEY, Api, StartApi, settings_with

OTHER_SECRET = "hT7pXw2LqRz9vKc4NdYs8MbJf3GaEu6W"


async def rows(api: Api, token: str) -> dict[str, dict[str, Any]]:
    response = await api.request("GET", "/settings", token)
    assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")
    body = await response.json()
    assert set(body) == {"settings", "warnings"}
    assert MASTER_KEY not in json.dumps(body)
    assert OTHER_SECRET not in json.dumps(body)
    return {row.pop("name"): row for row in body["settings"]}


async def test_every_setting_is_there_with_its_value_and_its_default(start_api: StartApi) -> None:
    roles = default_roles() | {"support": RoleSettings(includes=("customer",))}
    api = await start_api(
        roles=roles,
        access={"GET /users": ("support",)},
        cors=CorsSettings(origins=("https://app.example.com",)),
        tokens=TokenSettings(
            algorithm="HS256", secret=(SecretStr(OTHER_SECRET), SecretStr(MASTER_KEY)), access_ttl_seconds=600
        ),
    )
    found = await rows(api, await api.token("sahan"))
    assert list(found) == setting_names()
    assert found["tokens.access_ttl_seconds"] == {"value": 600, "default": 300, "source": "default"}
    assert found["cors.origins"]["value"] == ["https://app.example.com"]
    assert found["access"] == {"value": {"GET /users": ["support"]}, "default": {}, "source": "default"}
    assert found["roles"]["value"]["support"] == {"includes": ["customer"]}
    assert found["tokens.secret"]["value"] == ["********", "********"]
    assert found["keys.master_key"] == {"value": "********", "default": "", "source": "default"}


async def test_values_are_those_of_config_show(api: Api) -> None:
    shown = plain(api.services.settings)
    for name, row in (await rows(api, await api.token("sahan"))).items():
        section, _, key = name.partition(".")
        assert row["value"] == (shown[section][key] if key else shown[section]), name


def test_no_password_of_a_url_is_shown() -> None:
    url = f"postgresql://watchword:{OTHER_SECRET}@db.example/watchword?sslmode=verify-full&sslpassword={OTHER_SECRET}"
    settings = Settings(
        store=StoreSettings(url=url, listen_url=url.replace("db.", "direct.")),
        keys=KeySettings(master_key=(SecretStr(MASTER_KEY),)),
    )
    text = json.dumps(listing(settings))
    assert text.count("watchword:********@") == 2
    assert OTHER_SECRET not in text
    assert MASTER_KEY not in text


async def test_what_weakens_security_is_said(start_api: StartApi) -> None:
    api = await start_api(passwords=PasswordSettings(bcrypt_cost=4, min_length=8))
    response = await api.request("GET", "/settings", await api.token("sahan"))
    warnings = (await response.json())["warnings"]
    assert warnings == api.services.settings.weaknesses()
    assert len(warnings) == 2


async def test_a_reload_is_seen(api: Api, store_url: str) -> None:
    token = await api.token("sahan")
    await api.live.prepare(settings_with(store_url, cors=CorsSettings(origins=("https://new.example",))))
    assert (await rows(api, token))["cors.origins"]["value"] == []
    api.live.take()
    assert (await rows(api, token))["cors.origins"]["value"] == ["https://new.example"]


def sources_of(settings: Settings) -> dict[str, str]:
    return {row["name"]: row["source"] for row in listing(settings) if row["source"] != "default"}


def test_the_source_of_a_value_is_known_also_in_another_process(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        '[server]\nport = 9\nhost = "::1"\n[roles.support]\n[access]\n"GET /users" = ["support"]\n', "utf-8"
    )
    environment = {"WATCHWORD__SERVER__HOST": "127.0.0.1", "WATCHWORD__CORS__ORIGINS": "https://a.example"}
    loaded = load_settings(file, environment, {"server.port": 10})
    expected = {
        "server.host": "environment",
        "server.port": "command line",
        "cors.origins": "environment",
        "roles": "file",
        "access": "file",
    }
    assert sources_of(loaded.settings) == expected
    again = settings_of_json(loaded.as_json)
    assert again == loaded.settings
    assert sources_of(again) == expected


def test_a_worker_shows_the_settings_of_the_whole_server() -> None:
    whole = Settings().from_sources({"passwords.hash_queue": "file"})
    worker = whole.share(passwords=PasswordSettings(hash_queue=3))
    assert worker.passwords.hash_queue == 3
    assert listing(worker) == listing(whole)
    assert sources_of(worker) == {"passwords.hash_queue": "file"}
