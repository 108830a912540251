from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from server.core.errors import ConfigurationError
from server.settings import Settings, load_settings
from server.settings.display import plain
from server.settings.expected_values import what_it_takes
from server.settings.secrets import texts
from server.settings.section import attributes
from server.settings.tree import RegistrationSettings, RoleSettings, setting_names

ROOT = Path(__file__).parents[2]
SECRET = "hT7pXw2LqRz9 vKc4NdYs8MbJf3GaEu6"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No config.toml of the checkout in the working directory."""
    monkeypatch.chdir(tmp_path)


def problems_of(text: str = "", **environment: str) -> list[str]:
    Path("test.toml").write_text(text, "utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(Path("test.toml"), environment)
    return list(caught.value.problems)


def load(text: str = "", **environment: str) -> Settings:
    Path("test.toml").write_text(text, "utf-8")
    return load_settings(Path("test.toml"), environment).settings


def test_config_toml_lists_every_setting_with_its_true_default() -> None:
    text = (ROOT / "config.toml").read_text("utf-8")
    assert tomllib.loads(text) == plain(Settings())


def described() -> Iterator[tuple[str, str]]:
    for section, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            for key, attribute in attributes(kind).items():
                yield f"{section}.{key}", str(kind.model_fields[attribute].description)
        else:
            yield section, str(field.description)


@pytest.mark.parametrize(("name", "description"), list(described()))
def test_every_setting_has_its_line_in_config_toml_and_its_row_in_the_docs(name: str, description: str) -> None:
    lines = (ROOT / "config.toml").read_text("utf-8").splitlines()
    assert f"# {description}" in lines
    assert f"`{name}`" in (ROOT / "docs" / "settings.md").read_text("utf-8")
    assert name in setting_names()


def test_without_a_file_the_defaults_are_in_force() -> None:
    assert load_settings(None, {}).settings == Settings()


def test_config_toml_in_the_working_directory_is_read() -> None:
    Path("config.toml").write_text("[server]\nport = 9", "utf-8")
    assert load_settings(None, {}).settings.server.port == 9


def test_a_named_file_that_is_missing_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="there is no such file"):
        load_settings(Path("missing.toml"), {})


@pytest.mark.parametrize("path", [".", "binary", "broken", "deep"])
def test_a_file_that_is_not_toml_is_an_error(path: str) -> None:
    Path("binary").write_bytes(b"\xff\xfa")
    Path("broken").write_text("[server\nport", "utf-8")
    Path("deep").write_text("a = " + "[" * 5000, "utf-8")
    with pytest.raises(ConfigurationError, match=r"can't be read|is not TOML|is not UTF-8|nested too deeply"):
        load_settings(Path(path), {})


def test_the_environment_overrides_the_file() -> None:
    settings = load(
        '[server]\nport = 9\nhost = "::1"',
        WATCHWORD__SERVER__PORT="10",
        WATCHWORD__CORS__ORIGINS="https://a.example, https://b.example",
        WATCHWORD__SERVER__TRUSTED_PROXIES='["10.0.0.0/8"]',
        WATCHWORD__LOGS__REQUESTS="false",
        WATCHWORD__TOKENS__ISSUER="12345",
        WATCHWORD__ROLES__SUPPORT__INCLUDES='["customer"]',
        WATCHWORD__ACCESS='{"GET /users": ["support"]}',
        UNRELATED="x",
    )
    assert (settings.server.port, settings.server.host) == (10, "::1")
    assert settings.cors.origins == ("https://a.example", "https://b.example")
    assert str(settings.server.trusted_networks[0]) == "10.0.0.0/8"
    assert settings.logs.requests is False
    assert settings.tokens.issuer == "12345"
    assert list(settings.roles) == ["customer", "admin", "support"]
    assert settings.access == {"GET /users": ("support",)}


def test_a_value_can_come_from_a_file() -> None:
    Path("secret").write_text(SECRET + "\n", "utf-8")
    settings = load(WATCHWORD__TOKENS__SECRET_FILE="secret", WATCHWORD__TOKENS__ALGORITHM="HS256")
    assert texts(settings.tokens.secret) == [SECRET]
    assert SECRET not in repr(settings)
    assert problems_of(WATCHWORD__TOKENS__SECRET_FILE="missing")[0].startswith("tokens.secret: the file that")


def test_every_problem_is_reported_at_once() -> None:
    problems = problems_of('[server]\nport = "8080"\nprot = 1\n[store]\nurl = "mysql://x"', WATCHWORD__FOO__BAR="1")
    assert [problem.partition(":")[0] for problem in problems] == ["server.port", "server.prot", "store.url", "foo"]
    assert "did you mean server.port?" in problems[1]


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("[server]\nport = 70000", "server.port"),
        ("[server]\nport = 80.0", "server.port"),
        ("[server]\nport = true", "server.port"),
        ("[server]\nport = 1979-05-27", "server.port"),
        ("[server]\nmax_body_bytes = inf", "server.max_body_bytes"),
        ('[server]\ntrusted_proxies = ["10.0.0.1/8"]', "server.trusted_proxies"),
        ("server = 5", "server"),
        ("roles = 5", "roles"),
        ("colour = 5", "colour"),
        ('[cors]\norigins = ["*"]', "cors.origins"),
        ('[cors]\norigins = ["https://a.example/"]', "cors.origins"),
        ('[cors]\norigins = ["a.example"]', "cors.origins"),
        ('[store]\nurl = "sqlite://x.db"', "store.url"),
        ('[store]\nurl = "sqlite:///"', "store.url"),
        ('[store]\nurl = "sqlite:///a\\u0000b.db"', "store.url"),
        ('[store]\nurl = "postgresql://h/d?search_path=mine"', "store.url"),
        ('[store]\nurl = "postgresql://h/d?options=-c%20search_path%3Dmine"', "store.url"),
        ('[store]\nlisten_url = "postgresql://h/d"', "store.listen_url"),
        (f'[keys]\nmaster_key="{SECRET}"\n[store]\nurl="postgres://h"\nlisten_url="postgres://h"', "store.listen_url"),
        ('[store]\nlisten_url = "sqlite:///x.db"', "store.listen_url"),
        ('[store]\nlisten_url = "postgresql://h/d?search_path=x"', "store.listen_url"),
        ('[store]\nschema_name = ""', "store.schema_name"),
        ('[store]\nschema_name = "pg_mine"', "store.schema_name"),
        ('[store]\nschema_name = "information_schema"', "store.schema_name"),
        ('[store]\nschema_name = "Mine"', "store.schema_name"),
        ('[store]\nschema_name = "a\\";b"', "store.schema_name"),
        (f'[store]\nschema_name = "{"a" * 64}"', "store.schema_name"),
        ("[store]\npool_size = 0", "store.pool_size"),
        ("[store]\npool_size = 501", "store.pool_size"),
        ("[store]\nconnect_timeout_seconds = 0", "store.connect_timeout_seconds"),
        ("[store]\nstatement_timeout_seconds = 61", "store.statement_timeout_seconds"),
        ('[tokens]\nalgorithm = "none"', "tokens.algorithm"),
        ('[tokens]\nalgorithm = "HS256"', "tokens.secret"),
        ("[tokens]\naccess_ttl_seconds = 0", "tokens.access_ttl_seconds"),
        ('[tokens]\nsecret = "short"', "tokens.secret"),
        (f'[tokens]\nsecret = "{"ab" * 30}"', "tokens.secret"),
        ('[tokens]\nsecret = "0123456789abcdef0123456789abcdef"', "tokens.secret"),
        ('[tokens]\nsecret = "abcdefghijklmnopqrstuvwxyz0123456789"', "tokens.secret"),
        ('[tokens]\nsecret = "Your-256-bit-secret, which is known"', "tokens.secret"),
        ('[tokens]\nsecret = "a-string-secret-at-least-256-bits-long"', "tokens.secret"),
        (f'[tokens]\nsecret = ["{SECRET}", "short"]', "tokens.secret"),
        (f'[tokens]\nsecret = ["{SECRET}", ""]', "tokens.secret"),
        (f'[tokens]\nsecret = ["{SECRET}", "{SECRET}"]', "tokens.secret"),
        (f'[tokens]\nsecret = ["{SECRET}", 1]', "tokens.secret"),
        ("[tokens]\nsecret = 1", "tokens.secret"),
        ("[keys]\nrotate_every_days = -1", "keys.rotate_every_days"),
        ("[keys]\njwks_max_age_seconds = 0", "keys.jwks_max_age_seconds"),
        ("[passwords]\nmin_length = 7", "passwords.min_length"),
        ('[store]\nurl = "postgresql://u:p@h/d"', "keys.master_key"),
        ("[server]\nworkers = 65", "server.workers"),
        ("[server]\nworkers = -1", "server.workers"),
        ("[sessions]\nidle_ttl_seconds = 100\nmax_ttl_seconds = 50", "sessions.idle_ttl_seconds"),
        ('[registration]\nmode = "on"', "registration.mode"),
        ('[registration]\nrole = "king"', "registration.role"),
        ('[registration]\nrole = "admin"', "registration.role"),
        ('registration.role = "a"\n[roles]\na.includes = ["b"]\nb.includes = ["admin"]', "registration.role"),
        ('[registration]\nemail_domains = ["me@example.com"]', "registration.email_domains"),
        ('[registration]\nemail_domains = ["*.example.com"]', "registration.email_domains"),
        ('[registration]\nemail_domains = [""]', "registration.email_domains"),
        ("[roles.Big]\nincludes = []", "roles.Big"),
        ('[roles.x]\nincludes = ["y"]', "roles.x.includes"),
        ('[roles.x]\nincludes = "customer"', "roles.x.includes"),
        ('[access]\n"users" = ["admin"]', 'access."users"'),
        ('[access]\n"GET /users" = ["king"]', 'access."GET /users"'),
    ],
)  # fmt: skip
def test_an_unusable_value_names_its_setting(text: str, setting: str) -> None:
    problems = problems_of(text)
    assert [problem.partition(":")[0] for problem in problems] == [setting]


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("[server]\nport = 65536", "server.port: write a whole number from 0 to 65535"),
        ("[tokens]\naccess_ttl_seconds = 0", "tokens.access_ttl_seconds: write a whole number from 1 to 86400"),
        ('[tokens]\nissuer = ""', "tokens.issuer: write a text of 1 to 200 characters"),
        ('[tokens]\nalgorithm = "none"', "tokens.algorithm: write ES256, EdDSA, RS256 or HS256"),
        ("[tokens]\nsecret = 1", "tokens.secret: write a text, or a list of them"),
        ("[logs]\nrequests = 1", "logs.requests: write true or false"),
        ("[cors]\norigins = 1", 'cors.origins: write a list of texts, like ["a", "b"]'),
        ("[cors]\norigins = [1]", 'cors.origins: write a list of texts, like ["a", "b"]'),
        ("server = 5", "server: write a section, with settings in it"),
    ],
)  # fmt: skip
def test_an_unusable_value_is_told_what_the_setting_takes(text: str, remedy: str) -> None:
    assert problems_of(text) == [remedy]


@pytest.mark.parametrize(
    ("text", "compared"),
    [
        ("10.0.0.1/8", "10.0.0.0/8"),
        ("10.0.0.1/255.0.0.0", "10.0.0.0/8"),
        ("fd00::1/8", "fd00::/8"),
        ("::ffff:127.0.0.1", "127.0.0.1/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("fe80::1%eth0", "fe80::1/128"),
        ("fe80::%eth0/64", "fe80::/64"),
    ],
)
def test_a_network_that_matches_no_proxy_is_refused_with_the_one_that_does(text: str, compared: str) -> None:
    (problem,) = problems_of(f'[server]\ntrusted_proxies = ["{text}"]')
    assert problem.endswith(f"; write {compared}")
    assert load(f'[server]\ntrusted_proxies = ["{compared}"]').server.trusted_proxies == (compared,)


@pytest.mark.parametrize("name", [name for name in setting_names() if "." in name])
def test_no_setting_leaves_open_what_it_takes(name: str) -> None:
    section, _, key = name.partition(".")
    if name != "store.url":
        assert what_it_takes((section, key))


@pytest.mark.parametrize(
    ("name", "value"), [("WATCHWORD__SERVER__PORT__X", "1"), ("WATCHWORD__", "1"), ("WATCHWORD__SERVER", "x")]
)
def test_an_unusable_variable_is_a_problem(name: str, value: str) -> None:
    assert problems_of("[server]\nport = 1", **{name: value})


OTHER_SECRET = "Zk5tQy8WnLr3 xBv7HcPm2JdSg9FaUe4"


def test_secrets_are_one_or_a_list_from_wherever_they_come() -> None:
    both = [SECRET, OTHER_SECRET]
    Path("secrets").write_text(f"{SECRET}\n{OTHER_SECRET}\n", "utf-8")
    for changes in (
        {"WATCHWORD__TOKENS__SECRET": json.dumps(both)},
        {"WATCHWORD__TOKENS__SECRET": "\n".join(both)},
        {"WATCHWORD__TOKENS__SECRET_FILE": "secrets"},
    ):
        assert texts(load(**changes).tokens.secret) == both
    assert texts(load(WATCHWORD__TOKENS__SECRET="").tokens.secret) == []
    # One text is one secret, whatever is in it.
    for text in (f"{SECRET}, with a comma", f"[{SECRET}", f'{SECRET}"'):
        assert texts(load(WATCHWORD__TOKENS__SECRET=text).tokens.secret) == [text]


def test_a_guessable_secret_is_told_with_its_reason_and_what_to_run_instead() -> None:
    expected = {
        "changeme": "it is short",
        "my very long and safe secret key": "it is one of those that are published, in examples and elsewhere",
        "replace-this-by-something-of-your-own": "it reads like words, or like a placeholder",
        "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,": "it is a pattern",
    }
    remedy = "it takes 32 bytes that nobody can guess; make it with: openssl rand -base64 32"
    # Whoever just replaced it would find a store that does not open any more.
    rewrap = '; if keys are sealed under this one, put the new one before it, ["new", "old"], and run `keys rewrap`'
    for secret, reason in expected.items():
        for name, more in (("tokens.secret", ""), ("keys.master_key", rewrap)):
            section, _, key = name.partition(".")
            assert problems_of(f"[{section}]\n{key} = {json.dumps(secret)}") == [
                f"{name}: is too weak: {reason}; {remedy}{more}"
            ]


def test_a_weak_master_key_may_stand_behind_the_one_that_follows_it() -> None:
    """Else nobody could take `keys rewrap` to leave it behind. A shared secret that verifies has no such place."""
    lists = json.dumps([SECRET, "changeme"])
    settings = load(f"[keys]\nmaster_key = {lists}")
    assert any(line.startswith("keys.master_key still has one") for line in settings.weaknesses())
    assert not any("master_key" in line for line in load(f'[keys]\nmaster_key = "{SECRET}"').weaknesses())
    assert problems_of(f"[tokens]\nsecret = {lists}")
    assert problems_of(f'[keys]\nmaster_key = ["changeme", "{SECRET}"]')


def test_no_message_repeats_a_secret() -> None:
    text = '[tokens]\nsecret = "hush-hush"\n[keys]\nmaster_key = "hush"\n[store]\nurl = "pg://u:hush@h/d"'
    assert "hush" not in "\n".join(problems_of(text))


def test_settings_do_not_change() -> None:
    settings = Settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.server.port = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        settings.roles["x"] = settings.roles["admin"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("passwords", {"bcrypt_cost": 9}),
        ("passwords", {"min_length": 14}),
        ("tokens", {"access_ttl_seconds": 3601}),
        ("registration", {"mode": "open"}),
        ("cors", {"origins": ("http://a.example",)}),
        ("server", {"trusted_proxies": ("10.0.0.0/8", "::/0")}),
    ],
)
def test_a_setting_that_weakens_security_says_so(section: str, change: dict[str, Any]) -> None:
    assert Settings().weaknesses() == []
    part = getattr(Settings(), section).model_copy(update=change)
    (line,) = Settings(**{section: part}).weaknesses()
    assert line.startswith(f"{section}.{next(iter(change))}")


def test_where_addresses_are_confirmed_anybody_may_register() -> None:
    mail = '[mail]\nurl = "smtp://127.0.0.1"\nfrom = "auth@example.com"\n'
    assert load(f'{mail}[registration]\nmode = "open"').weaknesses() == []


def test_domains_of_addresses_are_kept_in_the_form_in_which_they_are_compared() -> None:
    domains = load('[registration]\nemail_domains = ["Example.COM", "m\u00fcnchen.example"]').registration.email_domains
    assert domains == ("example.com", "xn--mnchen-3ya.example")


def test_who_has_no_role_customer_names_another_one_before_somebody_may_sign_up() -> None:
    only_admins = {"admin": RoleSettings(), "member": RoleSettings()}
    assert Settings(roles=only_admins).registration.mode == "closed"
    open_to_all = RegistrationSettings(mode="open")
    with pytest.raises(
        ValueError, match=r"registration\.role: there is no role 'customer'; name one of: admin, member"
    ):
        Settings(roles=only_admins, registration=open_to_all)
    Settings(roles=only_admins, registration=open_to_all.model_copy(update={"role": "member"}))


def test_clients_that_may_all_have_one_address_are_warned_of() -> None:
    """A proxy would be the only client that the server sees."""
    line = Settings().one_address_for_all()
    assert line is not None
    assert "server.trusted_proxies" in line
    server = Settings().server.model_copy(update={"trusted_proxies": ("127.0.0.1",)})
    assert Settings(server=server).one_address_for_all() is None
