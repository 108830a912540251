"""The nginx example: who gets through to the application, and what the others are told."""

from __future__ import annotations

import re

import pytest

from server.pages.pages import PATHS
from tests.browser.scene import PASSWORD, USERNAME
from tests.proxy.application import ANSWER
from tests.proxy.conftest import Scene

GUARDED = ["/", "/orders", "/admin", "/admin/reports", "/publicity", "/verify", "/users"]

# Each of them is "/admin/reports" to whoever decodes it and resolves its dots.
SPELLINGS = [
    "/admin/reports",
    "//admin//reports",
    "/%61dmin/reports",
    "/./admin/reports",
    "/public/../admin/reports",
    "/public/%2e%2e/admin/reports",
    "/public/..%2fadmin/reports",
    "/public/..%2F%61dmin%2Freports",
    "/public//x/../%2e/../admin/reports",
]


@pytest.mark.parametrize("path", GUARDED)
def test_without_a_token_the_answer_is_401_and_says_what_to_send(scene: Scene, path: str) -> None:
    answer = scene.ask("GET", path)
    assert answer.status == 401
    assert answer.values("WWW-Authenticate") == ["Bearer"]
    assert answer.values("Cache-Control") == ["no-store"]
    assert answer.problem()["code"] == "token_missing"
    assert scene.application.calls == []


def test_the_pages_for_users_are_open_and_the_console_is_not(scene: Scene) -> None:
    for path in (*(path for path in PATHS if path != "/console"), "/pages/settings"):
        assert scene.ask("GET", path).status == 200, path
    page = scene.ask("GET", "/sign-in")
    assert "frame-ancestors 'none'" in page.values("Content-Security-Policy")[0]
    (style,) = re.findall(r'href="(/assets/[^"]*/base\.css)"', page.body.decode())
    assert scene.ask("GET", style).status == 200
    assert scene.ask("GET", "/console").status == 401
    assert scene.application.calls == []


@pytest.mark.parametrize("path", ["/password/forgot", "/login/code", "/login/code/confirm", "/email/confirm"])
def test_what_goes_by_mail_is_open(scene: Scene, path: str) -> None:
    """Watchword answers, and not the guard: the body is empty, or no mail is set."""
    answer = scene.ask("POST", path, [("Content-Type", "application/json")], body=b"{}")
    assert answer.problem()["code"] in {"invalid_request", "mail_not_configured"}
    assert scene.application.calls == []


@pytest.mark.parametrize("path", ["/orders", "/admin/reports"])
def test_a_bad_token_is_refused(scene: Scene, path: str) -> None:
    header, payload, signature = scene.admin.split(".")
    for token in ("nonsense", "a.b.c", f"{header}.{payload}.{signature[::-1]}", f"{header}.{payload}."):
        answer = scene.ask("GET", path, token=token)
        assert answer.status == 401
        assert answer.values("WWW-Authenticate") == ['Bearer error="invalid_token"']
        assert answer.problem()["code"] == "token_invalid"
    assert scene.application.calls == []


def test_two_tokens_in_one_request_are_refused(scene: Scene) -> None:
    for first, second in ((scene.admin, "nonsense"), ("nonsense", scene.admin), (scene.customer, scene.admin)):
        answer = scene.ask("GET", "/orders", [("Authorization", f"Bearer {first}")], token=second)
        assert answer.status in {400, 401}
    assert scene.application.calls == []


def test_a_customer_is_told_which_role_is_needed(scene: Scene) -> None:
    answer = scene.ask("GET", "/admin/reports", token=scene.customer)
    assert answer.status == 403
    problem = answer.problem()
    assert (problem["code"], problem["required"], problem["role"]) == ("insufficient_role", ["admin"], "customer")
    assert scene.application.calls == []


@pytest.mark.parametrize("path", SPELLINGS)
def test_no_spelling_of_a_path_leads_around_its_guard(scene: Scene, path: str) -> None:
    assert scene.ask("GET", path).status == 401
    assert scene.ask("GET", path, token=scene.customer).status == 403
    assert scene.application.calls == []
    assert scene.ask("GET", path, token=scene.admin).status == 200
    assert [call.path for call in scene.application.calls] == ["/admin/reports"]


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        ("/public/x/%2e%2e/%61", "/public/a"),
        ("/orders//x/..%2fa", "/orders/a"),
        ("/orders/../public/./a", "/public/a"),
        ("/public/%252e%252e/admin", "/public/%252e%252e/admin"),
        ("/public/a%20b?next=/admin&x=%2F", "/public/a%20b?next=/admin&x=%2F"),
        ("/orders/%c3%a4%0d%0aX-Auth-Role:admin", "/orders/%C3%A4%0D%0AX-Auth-Role:admin"),
    ],
)
def test_the_application_gets_the_path_that_was_decided_by(scene: Scene, sent: str, arrives: str) -> None:
    assert scene.ask("GET", sent, token=scene.customer).status == 200
    assert [call.path for call in scene.application.calls] == [arrives]


def test_the_user_of_a_good_token_is_named_to_the_application(scene: Scene) -> None:
    for path, token, username, role in (
        ("/orders?page=2", scene.customer, USERNAME, "customer"),
        ("/admin/reports", scene.admin, "admin", "admin"),
        ("/orders", scene.admin, "admin", "admin"),
    ):
        scene.application.calls.clear()
        answer = scene.ask("GET", path, token=token)
        assert (answer.status, answer.body) == (200, ANSWER)
        user = scene.watchword.call("GET", "/me", token=token)[1]["user"]
        [call] = scene.application.calls
        assert call.path == path
        assert call.values("X-Auth-Subject") == [user["id"]]
        assert call.values("X-Auth-Username") == [username]
        assert call.values("X-Auth-Role") == [role]


@pytest.mark.parametrize("body", [b"", b'{"item": 1}', bytes(range(256)) * 400], ids=["empty", "small", "on disk"])
def test_the_body_reaches_the_application_and_not_watchword(scene: Scene, body: bytes) -> None:
    answer = scene.ask("POST", "/orders", token=scene.customer, body=body)
    assert (answer.status, answer.body) == (200, ANSWER)
    [call] = scene.application.calls
    assert (call.method, call.body) == ("POST", body)
    assert call.values("X-Auth-Username") == [USERNAME]


def test_a_refused_upload_is_answered_before_it_is_sent(scene: Scene) -> None:
    """The client waits for 100 Continue; it gets the final answer in place of it."""
    waits = [("Expect", "100-continue"), ("Content-Length", "1000")]
    answer = scene.ask("POST", "/orders", waits)
    assert (answer.status, answer.problem()["code"]) == (401, "token_missing")
    answer = scene.ask("POST", "/admin/reports", waits, token=scene.customer)
    assert (answer.status, answer.problem()["code"]) == (403, "insufficient_role")
    assert scene.application.calls == []


def test_the_token_of_a_session_that_was_logged_out_is_refused(scene: Scene) -> None:
    with scene.connected() as client:
        token = client.post("/login", {"username": USERNAME, "password": PASSWORD}).json()["token"]
        assert client.ask("GET", "/orders", token=token).status == 200
        assert client.ask("POST", "/logout", token=token).status == 204
        answer = client.ask("GET", "/orders", token=token)
    assert (answer.status, answer.problem()["code"]) == (401, "token_revoked")
    assert len(scene.application.calls) == 1


@pytest.mark.parametrize("path", ["/_watchword/user", "/_watchword/admin", "/_watchword/", "//%5Fwatchword/./user"])
def test_a_client_cannot_ask_the_questions_of_the_proxy(scene: Scene, path: str) -> None:
    for token in (None, scene.admin):
        answer = scene.ask("GET", path, token=token)
        assert answer.status == 404
        assert not [name for name, _ in answer.headers if name.lower().startswith("x-auth")]
    assert scene.application.calls == []


def test_watchword_answers_on_the_same_host_what_users_need(scene: Scene) -> None:
    with scene.connected() as client:
        tokens = client.post("/login", {"username": USERNAME, "password": PASSWORD}).json()
        tokens = client.post("/refresh", {"refresh_token": tokens["refresh_token"]}).json()
        me = client.ask("GET", "/me", token=tokens["token"])
        assert me.json()["user"]["username"] == USERNAME
        assert client.ask("GET", "/.well-known/jwks.json").json()["keys"]
        assert client.post("/logout", {"refresh_token": tokens["refresh_token"]}).status == 204
    assert scene.application.calls == []


def test_connections_to_the_application_are_kept(scene: Scene) -> None:
    with scene.connected() as client:
        assert [client.ask("GET", "/orders", token=scene.customer).status for _ in range(10)] == 10 * [200]
    assert len(scene.application.calls) == 10
    assert len({call.connection for call in scene.application.calls}) == 1


def test_what_goes_well_leaves_no_complaint_in_the_log(scene: Scene) -> None:
    for path, token in (("/public/x", None), ("/orders", scene.customer), ("/orders", None), ("/me", scene.customer)):
        scene.ask("GET", path, token=token)
    assert not re.search(r"\[(warn|crit|alert|emerg)\]", scene.nginx.log())
