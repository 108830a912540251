"""examples/protected_api, as a process, beside a real Watchword."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.calling import wait_until
from tests.in_process import LocalServer, run, serving_demo
from tests.in_process import serving as watchword_in
from tests.listening import free_port
from tests.process.server_process import DEADLINE_SECONDS, ROOT, ServerProcess, serving

README = ROOT / "examples" / "protected_api" / "README.md"

Demo = tuple[LocalServer, ServerProcess]


def example(
    folder: Path, watchword: str, *, issuer: str = "my-api", audience: str = "my-api"
) -> contextlib.AbstractContextManager[ServerProcess]:
    return serving(
        folder,
        module="examples.protected_api.app",
        WATCHWORD_URL=watchword,
        PORT="0",
        WATCHWORD_ISSUER=issuer,
        WATCHWORD_AUDIENCE=audience,
    )


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """A Watchword with the users of the tutorial, and the example beside it."""
    with serving_demo(tmp_path) as watchword, example(tmp_path, watchword.address) as api:
        yield watchword, api


def token_of(watchword: LocalServer, username: str) -> str:
    token: str = watchword.log_in(username, f"{username}-demo-password")["token"]
    return token


def code_of(answer: tuple[int, dict[str, Any]]) -> tuple[int, str]:
    return answer[0], answer[1]["code"]


def test_who_may_call_what(demo: Demo) -> None:
    watchword, api = demo
    customer, admin = token_of(watchword, "lak"), token_of(watchword, "sahan")
    for token in (None, "garbage", customer):
        assert api.call("GET", "/public", token=token) == (200, {"message": "Everybody may read this."})
    for token, username in ((customer, "lak"), (admin, "sahan")):
        assert api.call("GET", "/orders", token=token) == (200, {"orders": ["tea", "biscuits"], "for": username})
    assert api.call("GET", "/reports", token=admin)[0] == 200
    assert code_of(api.call("GET", "/reports", token=customer)) == (403, "insufficient_role")
    for path in ("/orders", "/reports"):
        assert code_of(api.call("GET", path)) == (401, "token_missing")
        for token in ("garbage", "x.y.z", customer[:-10], admin + "A"):
            assert code_of(api.call("GET", path, token=token)) == (401, "token_invalid")
    assert api.stop() == 0
    assert "Traceback" not in api.log()


def test_the_lines_of_the_readme_do_what_it_says(demo: Demo) -> None:
    watchword, api = demo
    text = README.read_text("utf-8")
    text = text.replace("http://127.0.0.1:8090", api.address).replace("http://127.0.0.1:8080", watchword.address)
    session = re.findall(r"```console\n(.*?)```", text, re.DOTALL)[2]
    # What follows a $ is typed, with the lines that go on within; the others are the answers.
    typed = re.findall(r"^\$ (.*\n(?:    .*\n|  }\n)*)", session, re.MULTILINE)
    told = re.sub(r"^\$ .*\n(?:    .*\n|  }\n)*", "", session, flags=re.MULTILINE)
    assert len(typed) == 8
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", "".join(typed)],  # noqa: S607 - the reader's shell
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=True,
    )
    assert (done.stdout, done.stderr) == (told, "")


def test_tokens_are_good_while_watchword_is_down_and_expire_all_the_same(tmp_path: Path) -> None:
    with (
        watchword_in(tmp_path, WATCHWORD__TOKENS__ACCESS_TTL_SECONDS="5") as watchword,
        example(tmp_path, watchword.address) as api,
    ):
        password = watchword.admin_password()
        first = watchword.log_in("admin", password)["token"]
        assert api.call("GET", "/orders", token=first)[0] == 200
        second = watchword.log_in("admin", password)["token"]
        watchword.stop()
        for token in (first, second):
            assert api.call("GET", "/orders", token=token)[0] == 200
        wait_until(lambda: api.call("GET", "/orders", token=first)[0] != 200)
        assert code_of(api.call("GET", "/orders", token=first)) == (401, "token_expired")


def test_a_rotation_is_noticed_by_nobody(tmp_path: Path) -> None:
    with watchword_in(tmp_path) as watchword, example(tmp_path, watchword.address) as api:
        password = watchword.admin_password()
        tokens = []
        for _ in range(3):
            tokens.append(watchword.log_in("admin", password)["token"])
            for token in tokens:
                assert api.call("GET", "/reports", token=token)[0] == 200
            rotated = run(tmp_path, "keys", "rotate", "--now")
            assert rotated.returncode == 0, rotated.stderr
            kid = rotated.stdout.split()[0]
            # The server follows its store within a second.
            until_it_signs(watchword, kid)
        assert len({kid_of(token) for token in tokens}) == 3


def until_it_signs(watchword: LocalServer, kid: str) -> None:
    password = watchword.admin_password()
    wait_until(lambda: kid_of(watchword.log_in("admin", password)["token"]) == kid)


def kid_of(token: str) -> str:
    kid: str = jwt.get_unverified_header(token)["kid"]
    return kid


def test_an_api_that_was_there_before_watchword_answers_503_until_it_has_keys(tmp_path: Path) -> None:
    port = free_port()
    with example(tmp_path, f"http://127.0.0.1:{port}/") as api:
        assert code_of(api.call("GET", "/orders", token="x.y.z")) == (503, "keys_unavailable")
        assert api.call("GET", "/public")[0] == 200
        with serving(tmp_path, WATCHWORD__SERVER__PORT=str(port)) as watchword:
            token = watchword.log_in("admin", watchword.admin_password())["token"]
            wait_until(lambda: api.call("GET", "/orders", token=token)[0] == 200)
            assert api.call("GET", "/reports", token=token)[0] == 200


def test_tokens_for_others_are_refused(tmp_path: Path) -> None:
    with (
        serving_demo(tmp_path) as watchword,
        example(tmp_path, watchword.address, issuer="other-api") as one,
        example(tmp_path, watchword.address, audience="other-api") as other,
    ):
        for api in (one, other):
            assert code_of(api.call("GET", "/orders", token=token_of(watchword, "sahan"))) == (401, "token_invalid")
