"""The pages as docs/production.md sets them up: behind the nginx example with TLS, under `server.public_url`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.scene import COOKIE, PASSWORD, USERNAME, with_customer
from tests.certificates import certified
from tests.deployment.nginx import running
from tests.environment import ROOT
from tests.in_process import LocalServer, serving
from tests.listening import free_port
from tests.needed import require
from tests.proxy.nginx import nginx_program

if TYPE_CHECKING:
    from tests.browser.conftest import Visit

SITE = ROOT / "examples" / "nginx" / "watchword.conf"
# Browsers find it on this machine without a name server.
HOST = "auth.localhost"
CERTIFICATE = "/etc/letsencrypt/live/auth.example.com"


@pytest.fixture
def hosted(tmp_path: Path) -> Iterator[LocalServer]:
    """Its `address` is that of nginx."""
    program = nginx_program()
    require({"nginx (Debian package: nginx-light)": program})
    assert program
    certified(HOST, tmp_path / "certificate.pem")
    paths = "".join(f"{kind}_temp_path {kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (tmp_path / "nginx.conf").write_text(
        f"pid nginx.pid; error_log stderr; events {{}} http {{ {paths} {SITE.read_text('utf-8')} }}", "utf-8"
    )
    port = free_port()
    replaced = {
        "127.0.0.1:8080": f"127.0.0.1:{port}",
        "listen [::]:80;": "",
        "listen [::]:443 ssl;": "",
        f"{CERTIFICATE}/fullchain.pem": f"{tmp_path}/certificate.both",
        f"{CERTIFICATE}/privkey.pem": f"{tmp_path}/certificate.both",
        "auth.example.com": HOST,
    }
    with running(program, tmp_path / "nginx.conf", replaced, {"80": "", "443": " ssl"}) as ports:
        public = f"https://{HOST}:{ports['443']}"
        changes = {"PORT": str(port), "PUBLIC_URL": public, "TRUSTED_PROXIES": "127.0.0.1"}
        with serving(tmp_path, **{f"WATCHWORD__SERVER__{name}": value for name, value in changes.items()}) as server:
            with_customer(server)
            server.address = public
            yield server


def test_a_session_begins_and_ends_under_the_public_address(visit: Visit, hosted: LocalServer) -> None:
    page = visit()
    page.cdp("Security.setIgnoreCertificateErrors", ignore=True)
    page.visit("/sign-in?return_to=/inspect")
    assert page.content("#notices") == ""
    page.sign_in(USERNAME, PASSWORD)
    page.until(lambda: page.run("return location.href") == f"{hosted.address}/inspect", "it has gone on")
    (cookie,) = [cookie for cookie in page.browser.cookies() if cookie["name"] == COOKIE]
    assert (cookie["domain"], cookie["path"], cookie["secure"]) == (HOST, "/", True)
    refreshed = page.run_async(
        "const done = arguments[0]; fetch('/refresh', {method: 'POST'}).then(({status}) => done(status))"
    )
    assert refreshed == 200
    problem = page.run_async("const done = arguments[0]; fetch('/users').then((answer) => answer.json()).then(done)")
    assert problem["type"] == f"{hosted.address}/docs#token_missing"
    # Whoever follows it finds the code.
    page.go(problem["type"])
    assert page.run("return document.getElementById('token_missing') !== null")
    assert [one.url for one in page.browser.all_exchanges() if one.url.startswith("http://127.0.0.1")] == []
