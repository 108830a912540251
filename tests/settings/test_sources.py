"""What editors, shells and container hosts put around a value is no part of it, or is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.core.errors import ConfigurationError
from server.settings import LoadedSettings, load_settings
from server.settings.secrets import texts

SECRET = "hT7pXw2LqRz9 vKc4NdYs8MbJf3GaEu6"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(file: bytes | str = "", **environment: str) -> LoadedSettings:
    Path("test.toml").write_bytes(file if isinstance(file, bytes) else file.encode())
    return load_settings(Path("test.toml"), environment)


def problems_of(file: bytes | str = "", **environment: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(file, **environment)
    return list(caught.value.problems)


TOML = '[server]\r\nport = 9\r\n[tokens]\r\nissuer = "Zürich"\r\n'


@pytest.mark.parametrize(
    "file",
    [TOML.encode(), b"\xef\xbb\xbf" + TOML.encode(), TOML.encode("utf-16"), b"\xfe\xff" + TOML.encode("utf-16-be")],
    ids=["CRLF", "UTF-8 with BOM", "UTF-16", "UTF-16 BE"],
)
def test_a_settings_file_of_a_windows_editor_is_read(file: bytes) -> None:
    settings = load(file).settings
    assert (settings.server.port, settings.tokens.issuer) == (9, "Zürich")


@pytest.mark.parametrize("around", ["{}\r", "{}\r\n", "{}\n", "\ufeff{}", "\ufeff{}\r\n"])
def test_what_is_around_a_value_of_the_environment_is_no_part_of_it(around: str) -> None:
    settings = load(
        WATCHWORD__TOKENS__SECRET=around.format(SECRET),
        WATCHWORD__TOKENS__ISSUER=around.format("issuer"),
        WATCHWORD__SERVER__PORT=around.format("9"),
        WATCHWORD__STORE__URL=around.format("sqlite:///x.db"),
        WATCHWORD__LOGS__LEVEL=around.format("error"),
        WATCHWORD__LOGS__REQUESTS=around.format("false"),
        WATCHWORD__CORS__ORIGINS=around.format("https://a.example,https://b.example"),
    ).settings
    assert texts(settings.tokens.secret) == [SECRET]
    assert (settings.tokens.issuer, settings.server.port, settings.store.url) == ("issuer", 9, "sqlite:///x.db")
    assert (settings.logs.level, settings.logs.requests) == ("error", False)
    assert settings.cors.origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize(
    "content", [SECRET, f"{SECRET}\r\n", f"\ufeff{SECRET}\r\n", f"{SECRET}\n\n"], ids=["bare", "CRLF", "BOM", "two"]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_what_is_around_a_value_in_a_file_is_no_part_of_it(content: str, encoding: str) -> None:
    Path("secret").write_bytes(content.encode(encoding))
    for path in ("secret", "secret\r"):
        assert texts(load(WATCHWORD__TOKENS__SECRET_FILE=path).settings.tokens.secret) == [SECRET]


def test_secrets_in_lines_of_windows_are_several() -> None:
    other = SECRET[::-1]
    Path("secrets").write_bytes(b"\xef\xbb\xbf" + f"{SECRET}\r\n{other}\r\n".encode())
    assert texts(load(WATCHWORD__TOKENS__SECRET_FILE="secrets").settings.tokens.secret) == [SECRET, other]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ('"{}"', "stands in quotation marks"),
        ("'{}'", "stands in quotation marks"),
        ("`{}`", "stands in quotation marks"),
        ("\u201c{}\u201d", "stands in quotation marks"),
        (" {}", "begins or ends with white space"),
        ("{}\t ", "begins or ends with white space"),
        ("{}\u00a0", "begins or ends with white space"),
        ("{}\u200b", "has the character U+200B"),
        ("a\ufeff{}", "has the character U+FEFF"),
        ("{}\x00", "has the character U+0000"),
        ("{}\x0bx", "has the character U+000B"),
        ("{}\u2028x", "has the character U+2028"),
        ("a\x1b[2J{}", "has the character U+001B"),
        ("a\u202e{}", "has the character U+202E"),
    ],
)
def test_what_can_not_be_meant_is_refused_by_name_and_not_repeated(value: str, reason: str) -> None:
    problems = problems_of(
        WATCHWORD__TOKENS__SECRET=value.format(SECRET), WATCHWORD__TOKENS__ISSUER=value.format("my-api")
    )
    assert [problem.partition(reason)[0] for problem in problems] == ["tokens.issuer: ", "tokens.secret: "]
    assert SECRET not in "".join(problems)


def test_the_same_holds_for_the_settings_file_and_for_elements_of_lists() -> None:
    problems = problems_of('[tokens]\nissuer = """\nmy-api\n"""\n[passwords]\ncontext_words = ["acme ", "x"]\n')
    assert problems == [
        "tokens.issuer: begins or ends with white space; take it off",
        "passwords.context_words: begins or ends with white space; take it off",
    ]


def test_scripts_that_need_joiners_are_taken() -> None:
    words = ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\U0001f468\u200d\U0001f469")
    assert load(WATCHWORD__PASSWORDS__CONTEXT_WORDS=",".join(words)).settings.passwords.context_words == words


def test_an_empty_variable_does_not_take_the_place_of_a_secret() -> None:
    file = f'[tokens]\nsecret = "{SECRET}"\n[keys]\nmaster_key = ["{SECRET}", "{SECRET[::-1]}"]\n'
    for name in ("WATCHWORD__TOKENS__SECRET", "WATCHWORD__KEYS__MASTER_KEY"):
        for empty in ("", "\r\n", "\ufeff", "[]"):
            (problem,) = problems_of(file, **{name: empty})
            assert problem.startswith(f"{name}: it is empty, and the settings file has a secret there")
        assert load("", **{name: ""}).settings.store.is_sqlite
    assert load(file, WATCHWORD__CORS__ORIGINS="").settings.cors.origins == ()


def test_a_file_that_is_named_has_something_in_it() -> None:
    Path("empty").write_bytes(b"\xef\xbb\xbf\r\n")
    Path("binary").write_bytes(b"\xff\x00\xfe")
    for path, reason in (
        ("empty", "is empty"),
        ("missing", "No such file"),
        (".", "Is a directory"),
        ("binary", "not UTF-8"),
        ("/dev/zero", "File too large"),
    ):
        (problem,) = problems_of(WATCHWORD__TOKENS__SECRET_FILE=path)
        assert problem.startswith("tokens.secret: the file that WATCHWORD__TOKENS__SECRET_FILE names ")
        assert reason in problem
    (problem,) = problems_of(WATCHWORD__TOKENS__SECRET_FILE='"secret"')
    assert problem.startswith("WATCHWORD__TOKENS__SECRET_FILE: the path stands in quotation marks")


def test_two_variables_for_one_setting_are_a_problem() -> None:
    Path("port").write_text("9")
    for other in ("WATCHWORD__SERVER__PORT_FILE", "watchword__server__port"):
        (problem,) = problems_of(**{"WATCHWORD__SERVER__PORT": "8", other: "port"})
        assert problem.startswith("server.port: both WATCHWORD__SERVER__PORT and ")


def test_a_variable_that_is_not_utf_8_is_named() -> None:
    (problem,) = problems_of(WATCHWORD__TOKENS__AUDIENCE="a\udcff")
    assert problem == "WATCHWORD__TOKENS__AUDIENCE: its value is not UTF-8; write it in UTF-8"
    assert problems_of(WATCHWORD__CORS__ORIGINS='["https://\\ud800"]')[0].startswith("cors.origins: has the character")


@pytest.mark.parametrize(
    ("name", "value", "near"),
    [
        ("WATCHWORD_SERVER_PORT", "9", "WATCHWORD__SERVER__PORT"),
        ("WATCHWORD_PORT", "9", "WATCHWORD__SERVER__PORT"),
        ("WATCHWORD_TOKENS__ISSUER", "x", "WATCHWORD__TOKENS__ISSUER"),
        ("WATCHWORD_TOKENS_ACCESS_TTL_SECONDS", "9", "WATCHWORD__TOKENS__ACCESS_TTL_SECONDS"),
        ("watchword_master_key_file", "/x", "WATCHWORD__KEYS__MASTER_KEY"),
        ("WATCHWORD_LOG_LEVEL", "info", "WATCHWORD__LOGS__LEVEL"),
        ("WATCHWORD_COLOUR", "blue", None),
        ("WATCHWORD_", "", None),
        ("WATCHWORD__", "", None),
        ("WATCHWORD__SERVER__", "1", None),
        ("WATCHWORD____PORT", "9", "WATCHWORD__SERVER__PORT"),
        ("WATCHWORD_SERVER", "1", None),
        ("WATCHWORD_DB_PORT_FOO", "1", None),
    ],
)
def test_a_variable_of_ours_that_is_no_setting_is_an_error(name: str, value: str, near: str | None) -> None:
    (problem,) = problems_of(**{name: value})
    assert problem.startswith(f"{name}: there is no such setting; ")
    assert problem.endswith(f"did you mean {near}?" if near else "settings begin with WATCHWORD__; unset it")


def test_what_a_container_host_says_of_its_services_is_named_and_ignored() -> None:
    links = {
        "WATCHWORD_SERVICE_HOST": "10.0.0.7",
        "WATCHWORD_SERVICE_PORT": "8080",
        "WATCHWORD_SERVICE_PORT_HTTP": "8080",
        "WATCHWORD_PORT": "tcp://10.0.0.7:8080",
        "WATCHWORD_PORT_8080_TCP": "tcp://10.0.0.7:8080",
        "WATCHWORD_PORT_8080_TCP_ADDR": "10.0.0.7",
        "WATCHWORD_PORT_8080_TCP_START": "tcp://10.0.0.7:8080",
        "WATCHWORD_PORT_8080_TCP_PORT_END": "8090",
        "WATCHWORD_DB_SERVICE_HOST": "10.0.0.8",
        "WATCHWORD_DB_PORT": "tcp://10.0.0.8:5432",
        "WATCHWORD_DB_PORT_5432_TCP_PROTO": "tcp",
        "WATCHWORD_NAME": "/proxy/watchword",
        "WATCHWORD_ENV_PATH": "/bin",
    }
    loaded = load(UNRELATED="x", WATCHWORDS="x", **links)
    assert loaded.ignored == tuple(sorted(links))
    assert loaded.settings.server.port == 8080


@pytest.mark.parametrize("name", ["SERVER", "KEYS", "TOKENS"])
def test_a_section_as_a_whole_does_not_take_the_place_of_what_the_file_has(name: str) -> None:
    file = f'[tokens]\nsecret = "{SECRET}"\n[keys]\nmaster_key = "{SECRET}"\n'
    (problem,) = problems_of(file, **{f"WATCHWORD__{name}": "{}"})
    assert problem.startswith(f"WATCHWORD__{name}: {name.lower()} is a section; set each of its settings, ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOKENS__SECRET", f'["{SECRET}", "{SECRET[::-1]}"'),
        ("KEYS__MASTER_KEY", f"['{SECRET}']"),
        ("PASSWORDS__CONTEXT_WORDS", "['acme', 'widget']"),
        ("CORS__ORIGINS", '["https://app.example",]'),
        ("ROLES__SUPPORT__INCLUDES", "[customer]"),
    ],
)
def test_a_list_that_is_no_json_is_no_text_of_that_name(name: str, value: str) -> None:
    (problem,) = problems_of(**{f"WATCHWORD__{name}": value})
    assert problem.startswith(f"WATCHWORD__{name}: begins with [ and is no JSON; write a list as ")
    assert SECRET not in problem


def test_what_only_looks_like_json_is_text() -> None:
    settings = load(WATCHWORD__PASSWORDS__CONTEXT_WORDS="2026", WATCHWORD__TOKENS__SECRET="{" + SECRET).settings
    assert settings.passwords.context_words == ("2026",)
    assert texts(settings.tokens.secret) == ["{" + SECRET]


@pytest.mark.parametrize(
    ("name", "value", "repeated"),
    [
        ("ACCESS", '{"GET /users": ["admin"], "GET /users": ["customer"]}', "GET /users"),
        ("ROLES", '{"x": {"includes": [], "includes": ["admin"]}}', "includes"),
    ],
)
def test_a_name_that_is_repeated_in_json_is_a_problem_as_in_a_file(name: str, value: str, repeated: str) -> None:
    (problem,) = problems_of(**{f"WATCHWORD__{name}": value})
    assert problem == f'WATCHWORD__{name}: "{repeated}" stands in it twice; take one of them out'


@pytest.mark.parametrize("value", ["[" * 900 + "]" * 900, '{"a":' * 900 + "1" + "}" * 900, "1" * 5000, "NaN", "1e999"])
def test_what_no_setting_can_be_is_refused_by_name(value: str) -> None:
    for name in ("SERVER__PORT", "ACCESS", "COLOUR"):
        problems = problems_of(**{f"WATCHWORD__{name}": value})
        assert all(problem.startswith(name.lower().replace("__", ".")) for problem in problems)
    (problem,) = problems_of(**{"WATCHWORD__" + "__".join(["A"] * 3000): "x"})
    assert problem.startswith("a: there is no such setting; ")


def test_a_link_to_nowhere_is_no_missing_file() -> None:
    Path("config.toml").symlink_to("elsewhere/config.toml")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(None, {})
    (problem,) = caught.value.problems
    assert problem.endswith("config.toml: is a link to a file that is not there; mend the link, or remove it")
    Path("config.toml").unlink()
    assert load_settings(None, {}).file is None


def test_a_working_directory_that_was_deleted_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ConfigurationError) as caught:
        load_settings(None, {})
    assert caught.value.problems == ("the working directory is not there any more; change to another one",)


@pytest.mark.parametrize(
    "path", [":memory:", "~/watchword.db", "x.db?mode=ro", "data/", "data/..", "..", "/"], ids=lambda path: f"[{path}]"
)
def test_a_store_that_would_be_a_file_of_a_strange_name_is_refused(path: str) -> None:
    (problem,) = problems_of(WATCHWORD__STORE__URL=f"sqlite:///{path}")
    assert problem.startswith("store.url: names no file as it stands; ")
    assert load(WATCHWORD__STORE__URL="sqlite:////srv/.data/a~b.db").settings.store.is_sqlite


def test_where_each_value_comes_from_is_known() -> None:
    Path("secret").write_text(SECRET)
    toml = '[server]\nport = 9\nhost = "::1"\n[tokens]\nissuer = "i"\n[roles.support]\nincludes = []\n'
    loaded = load(toml, WATCHWORD__SERVER__HOST="127.0.0.2", WATCHWORD__TOKENS__SECRET_FILE="secret",
                  WATCHWORD__ROLES__SUPPORT__INCLUDES="customer", watchword__cors__origins="")  # fmt: skip
    file = str(Path("test.toml").absolute())
    assert loaded.origins == {
        "server.port": file,
        "server.host": "WATCHWORD__SERVER__HOST",
        "tokens.issuer": file,
        "tokens.secret": "WATCHWORD__TOKENS__SECRET_FILE",
        "cors.origins": "watchword__cors__origins",
        "roles": "WATCHWORD__ROLES__SUPPORT__INCLUDES",
    }


def test_the_command_line_goes_before_all_others_and_is_checked_like_them() -> None:
    Path("test.toml").write_text("[server]\nport = 9\n")
    environment = {"WATCHWORD__SERVER__PORT": "10"}
    loaded = load_settings(Path("test.toml"), environment, {"server.port": 11})
    assert (loaded.settings.server.port, loaded.origins["server.port"]) == (11, "the command line")
    for given, told in (({"server.port": 70000}, "server.port: write a whole number from 0 to 65535"),
                        ({"server.host": ""}, "server.host: write a text that is not empty")):  # fmt: skip
        with pytest.raises(ConfigurationError) as caught:
            load_settings(Path("test.toml"), environment, given)
        assert list(caught.value.problems) == [told]
    Path("test.toml").write_text("server = 1\n")
    with pytest.raises(ConfigurationError, match="server: write a section"):
        load_settings(Path("test.toml"), {}, {"server.port": 11})
