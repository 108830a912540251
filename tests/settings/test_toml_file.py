"""What is wrong with a settings file is told with its line, and without its values."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.core.errors import ConfigurationError
from server.settings import load_settings


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[server]\nport = 1\n[tokens]\n[server]\nhost = 'hush'\n",
            "line 4: [server] stands there already, in line 1; put the settings of both under one of them",
        ),
        (
            "[roles.x]\nincludes = []\n\n[roles.x]\n",
            "line 4: [roles.x] stands there already, in line 1; put the settings of both under one of them",
        ),
        (
            "server.port = 1\n[server]\nhost = 'hush'\n",
            "line 2: [server] stands there already, above; put the settings of both under one of them",
        ),
        ("[server]\nport = 1\nport = 'hush'\n", "line 3: port is set a second time; take one of them out"),
        (
            '[access]\n"GET /users" = []\n"GET /users" = ["hush"]',
            'line 3: "GET /users" is set a second time; take one of them out',
        ),
        (
            '[tokens]\nsecret = "x"\nsecret = """\nhush\nhush"""\n',
            "line 5: what ends there is set a second time; take one of them out",
        ),
        (
            '[tokens]\nsecret = []\nsecret = [\n"hush=",\n"hush="]\n',
            "line 5: what ends there is set a second time; take one of them out",
        ),
        ('issuer = "\u2028"\nissuer = "hush"', "line 2: issuer is set a second time; take one of them out"),
        (f"port = {'1' * 5000}", "has a number that is too large for any setting"),
        ("[server]\nport = hush\n", "is not TOML: Invalid value (at line 2, column 8); mend that line"),
        ("#" * (1 << 20) + "\n", "can't be read (File too large); check the path and its permissions"),
        (b"[server]\nhost = '\xff'", "is not UTF-8 (byte 18); save it as UTF-8"),
        ("a = " + "[" * 5000, "is nested too deeply to be a settings file"),
    ],
)
def test_what_is_wrong_names_the_line(tmp_path: Path, text: str | bytes, problem: str) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationError) as caught:
        load_settings(file, {})
    assert f"{file}: {problem}" in caught.value.problems
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[server]\nprot = 1", "server.prot: there is no such setting; did you mean server.port?"),
        ("port = 8080", "port: there is no such setting; did you mean server.port?"),
        ("[sever]\nport = 1", "sever: there is no such setting; did you mean server?"),
        ('[server]\nissuer = "x"', "server.issuer: there is no such setting; did you mean tokens.issuer?"),
        ("[tokens]\nttl = 5", "tokens.ttl: there is no such setting; did you mean tokens.access_ttl_seconds?"),
        ("[passwords]\ncost = 5", "passwords.cost: there is no such setting; did you mean passwords.bcrypt_cost?"),
        ("[cors]\nx = 5", "cors.x: there is no such setting; [cors] has "),
        ("colour = 5", "colour: there is no such setting; the sections are server, store, tokens, "),
        ("[roles.x]\ninclude = []", "roles.x.include: there is no such setting; a role has includes, and nothing else"),
        ('[access]\n"GET /users" = "admin"', 'access."GET /users": write a list of roles, like ["admin"]'),
        ('[access]\n"GET /users" = [1]', 'access."GET /users": write a list of roles, like ["admin"]'),
        ('[roles.x]\nincludes = "customer"', 'roles.x.includes: write a list of roles, like ["admin"]'),
        ("[roles]\nx = 5", "roles.x: write a section, like [roles.support], with `includes` in it"),
        ('access = ["GET /users"]', "access: write a section, with settings in it"),
        (f"[server]\nport = 0x{'f' * 5000}", "server.port: write a whole number from 0 to 65535"),
        ("[server]\nport = nan", "server.port: write a whole number from 0 to 65535"),
        ("[tokens]\nissuer = 2026-11-26", "tokens.issuer: write a text of 1 to 200 characters"),
        ("[store]\nurl = 07:32:00", "store.url: write a text that is not empty"),
        ("[roles]\nx = 2026-11-26T07:32:00Z", "roles.x: write a section, like [roles.support], with `includes` in it"),
        (".".join(["a"] * 3000) + " = 1", "a: there is no such setting; the sections are "),
        ("[cors]\norigins." + ".".join(["a"] * 3000) + " = 1", "cors.origins: write a list of texts"),
        ("[cors]\norigins = " + "[" * 100 + "]" * 100, "cors.origins: write a list of texts"),
        ('"" = 1', '"": there is no such setting; the sections are '),
    ],
)
def test_a_wrong_name_or_kind_of_value_is_told_what_is_near(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(file, {})
    (told,) = caught.value.problems
    assert told.startswith(problem)
