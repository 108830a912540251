"""The Node example, run by node, with tokens of a real Watchword."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.scene import PASSWORD, USERNAME, with_customer
from tests.examples.issuer import Issuer, issuer
from tests.examples.node_api import FOLDER, NodeApi, environment, refused_start, running_api
from tests.in_process import LocalServer, serving

Check = Callable[[str, list[str]], str]

MISSING = (401, ["Bearer"], "token_missing")
INVALID = (401, ['Bearer error="invalid_token"'], "token_invalid")
EXPIRED = (401, ['Bearer error="invalid_token"'], "token_expired")

# What is in the file that other services take over, asked directly.
CHECK = """
const { Guard, only } = await import(process.env.FILE);
const guard = new Guard({ url: process.env.WATCHWORD_URL, issuer: "my-api", audience: "my-api", algorithm: "ES256" });
const request = { headersDistinct: { authorization: ["Bearer " + process.env.TOKEN] } };
const result = guard.check(request, only(...JSON.parse(process.env.ROLES)));
console.log(await result.then((claims) => claims.username, (problem) => problem.body.code));
"""


@pytest.fixture(scope="module")
def watchword(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with serving(tmp_path_factory.mktemp("watchword")) as server:
        yield with_customer(server)


@pytest.fixture(scope="module")
def api(node: str, watchword: LocalServer) -> Iterator[NodeApi]:
    with running_api(node, watchword.address) as running:
        yield running


@pytest.fixture(scope="module")
def customer(watchword: LocalServer) -> str:
    token: str = watchword.log_in(USERNAME, PASSWORD)["token"]
    return token


@pytest.fixture(scope="module")
def admin(watchword: LocalServer) -> str:
    token: str = watchword.log_in("admin", watchword.admin_password())["token"]
    return token


@pytest.fixture
def check(node: str, watchword: LocalServer) -> Check:
    """The username if that token has one of the roles, else the code of the problem."""

    def run(token: str, roles: list[str]) -> str:
        file = (FOLDER / "watchword.js").as_uri()
        given = environment(FILE=file, WATCHWORD_URL=watchword.address, TOKEN=token, ROLES=json.dumps(roles))
        command = [node, "--input-type=module", "--eval", CHECK]
        return subprocess.run(command, env=given, capture_output=True, text=True, check=True).stdout.strip()

    return run


def test_a_good_token_opens_what_its_role_may(api: NodeApi, customer: str, admin: str) -> None:
    for token in (None, "nonsense", customer):
        assert api.ask("GET", "/public", token).status == 200
    for token, username in ((customer, USERNAME), (admin, "admin")):
        answer = api.ask("GET", "/orders?page=1", token)
        assert (answer.status, answer.values("Content-Type")) == (200, ["application/json"])
        assert answer.json()["for"] == username
        assert answer.json()["orders"]
    assert api.ask("GET", "/reports", admin).status == 200
    assert api.ask("HEAD", "/reports", admin).body == b""


def test_without_a_token_the_answer_says_what_to_send(api: NodeApi, admin: str) -> None:
    for path in ("/orders", "/reports"):
        assert api.refusal(None, path) == MISSING
    for value in ("", "Bearer", "Basic YTpi", admin):
        answer = api.ask("GET", "/orders", headers=[("Authorization", value)])
        assert (answer.status, answer.problem()["code"]) == (401, "token_missing")
    assert api.ask("GET", "/orders", headers=[("authorization", f"bearer {admin}")]).status == 200


def test_a_customer_is_told_which_role_is_needed(api: NodeApi, customer: str) -> None:
    answer = api.ask("GET", "/reports", customer)
    problem = answer.problem()
    assert (answer.status, problem["code"]) == (403, "insufficient_role")
    assert (problem["required"], problem["role"]) == (["admin"], "customer")


@pytest.mark.parametrize(
    ("who", "roles", "result"),
    [
        ("admin", ["customer"], "admin"),
        ("admin", ["admin"], "admin"),
        ("customer", ["customer"], USERNAME),
        ("customer", ["support", "customer"], USERNAME),
        ("customer", ["admin"], "insufficient_role"),
        ("admin", ["support"], "insufficient_role"),
        ("admin", [], "insufficient_role"),
    ],
)
def test_a_role_has_the_rights_of_those_that_it_includes(
    check: Check, request: pytest.FixtureRequest, who: str, roles: list[str], result: str
) -> None:
    assert check(request.getfixturevalue(who), roles) == result


def test_what_is_not_a_token_of_this_watchword_is_refused(
    api: NodeApi, watchword: LocalServer, admin: str, tmp_path: Path
) -> None:
    header, payload, signature = admin.split(".")
    refresh = watchword.log_in("admin", watchword.admin_password())["refresh_token"]
    with serving(tmp_path) as other:
        foreign = other.log_in("admin", other.admin_password())["token"]
    for token in (
        "nonsense",
        "a.b.c",
        f"{header}.{payload}.",
        f"{header}.{payload}.{signature[::-1]}",
        refresh,
        foreign,
    ):
        assert api.refusal(token) == INVALID, token


def test_two_tokens_in_one_request_are_refused(api: NodeApi, customer: str, admin: str) -> None:
    answer = api.ask("GET", "/reports", admin, [("Authorization", f"Bearer {customer}")])
    assert (answer.status, answer.problem()["code"]) == (401, "token_invalid")


@pytest.mark.parametrize("setting", ["ISSUER", "AUDIENCE"])
def test_the_same_key_does_not_make_up_for_another_issuer_or_audience(node: str, tmp_path: Path, setting: str) -> None:
    with serving(tmp_path, **{f"WATCHWORD__TOKENS__{setting}": "other-api"}) as server:
        password = server.admin_password()
        token = server.log_in("admin", password)["token"]
        with running_api(node, server.address, **{f"WATCHWORD_{setting}": "other-api"}) as api:
            assert api.ask("GET", "/orders", token).status == 200
    with serving(tmp_path) as server, running_api(node, server.address) as api:
        assert api.ask("GET", "/orders", server.log_in("admin", password)["token"]).status == 200
        assert api.refusal(token) == INVALID


def test_an_expired_token_is_told_from_a_wrong_one(node: str, tmp_path: Path) -> None:
    with (
        serving(tmp_path, WATCHWORD__TOKENS__ACCESS_TTL_SECONDS="1") as server,
        running_api(node, server.address) as api,
    ):
        token = server.log_in("admin", server.admin_password())["token"]
        while server.call("GET", "/me", token=token)[0] == 200:
            continue
        assert api.refusal(token) == EXPIRED
        header, payload, signature = token.split(".")
        assert api.refusal(f"{header}.{payload}.{signature[::-1]}") == INVALID


@pytest.mark.parametrize("algorithm", ["EdDSA", "RS256"])
def test_the_other_algorithms_work_where_they_are_set(node: str, tmp_path: Path, algorithm: str, api: NodeApi) -> None:
    with (
        serving(tmp_path, WATCHWORD__TOKENS__ALGORITHM=algorithm) as server,
        running_api(node, server.address, WATCHWORD_ALGORITHM=algorithm) as other,
        running_api(node, server.address) as unaware,
    ):
        token = server.log_in("admin", server.admin_password())["token"]
        assert other.ask("GET", "/orders", token).status == 200
        assert unaware.refusal(token) == INVALID


@pytest.fixture(scope="module")
def signer() -> Iterator[Issuer]:
    with issuer() as running:
        yield running


@pytest.fixture(scope="module")
def beside(node: str, signer: Issuer) -> Iterator[NodeApi]:
    """The API with the keys of the test."""
    with running_api(node, signer.address) as running:
        yield running


def test_the_signer_of_the_tests_signs_well(beside: NodeApi, signer: Issuer) -> None:
    assert beside.ask("GET", "/reports", signer.token()).status == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"header": {"typ": "JWT"}},
        {"header": {"typ": "rt+jwt"}},
        {"header": {"kid": "another"}},
        {"header": {"crit": ["exp"]}},
        {"algorithm": "none"},
        {"algorithm": "HS256"},
        *({"without": name} for name in ("iss", "aud", "sub", "iat", "exp", "jti", "sid", "role", "username")),
        {"iss": "other-api"},
        {"aud": "other-api"},
        {"role": ["admin"]},
        {"role": 1},
        {"username": None},
        {"exp": "never"},
        {"nbf": 2**40},
    ],
    ids=repr,
)
def test_a_token_with_something_wrong_is_refused(beside: NodeApi, signer: Issuer, changes: dict[str, Any]) -> None:
    assert beside.refusal(signer.token(**changes)) == INVALID


def test_an_unknown_role_has_no_rights(beside: NodeApi, signer: Issuer) -> None:
    for role in ("emperor", "__proto__", "constructor"):
        token = signer.token(role=role)
        assert beside.ask("GET", "/orders", token).status == 200
        assert beside.ask("GET", "/reports", token).problem()["code"] == "insufficient_role"


def test_while_the_keys_can_not_be_fetched_the_answer_is_503(node: str, tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        token = server.log_in("admin", server.admin_password())["token"]
        server.stop()
    with running_api(node, server.address) as api:
        answer = api.ask("GET", "/orders", token)
        assert (answer.status, answer.problem()["code"]) == (503, "keys_unavailable")
        assert answer.values("Retry-After") == ["1"]
        assert api.refusal("nonsense") == INVALID
        assert api.ask("GET", "/public").status == 200
        with serving(tmp_path, WATCHWORD__SERVER__PORT=server.address.rpartition(":")[2]):
            assert api.ask("GET", "/orders", token).status == 200


def test_other_paths_and_methods_are_problems_too(api: NodeApi, admin: str) -> None:
    for path in ("/", "/order", "/orders/", "//orders", "/__proto__"):
        answer = api.ask("GET", path, admin)
        assert (answer.status, answer.problem()["code"]) == (404, "not_found")
    answer = api.ask("POST", "/orders", admin)
    assert (answer.status, answer.problem()["code"]) == (405, "method_not_allowed")
    assert answer.values("Allow") == ["GET, HEAD"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WATCHWORD_URL", "file:///etc/passwd"),
        ("WATCHWORD_URL", "here"),
        ("WATCHWORD_ALGORITHM", "HS256"),
        ("PORT", "x"),
    ],
)
def test_an_unusable_setting_ends_the_start_with_one_line(node: str, name: str, value: str) -> None:
    ended = refused_start(node, **{name: value})
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith(f"{name}: ")
    assert ended.stderr.count("\n") == 1


def test_a_signal_ends_it(node: str, watchword: LocalServer) -> None:
    with running_api(node, watchword.address) as api:
        api.process.send_signal(signal.SIGTERM)
        assert api.process.wait(30) == 0
