"""What is said of the addresses under which the server is reached."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from server.doctor import address
from tests.certificates import certified
from tests.doctor.examined import examined
from tests.in_process import LocalServer, serving

URL = "WATCHWORD__SERVER__PUBLIC_URL"


class _Proxy(BaseHTTPRequestHandler):
    """Gives the JWKS of a server to whoever asks."""

    def __init__(self, behind: LocalServer, *arguments: Any) -> None:
        self._behind = behind
        super().__init__(*arguments)

    def do_GET(self) -> None:
        body = json.dumps(self._behind.call("GET", self.path)[1]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def tls_proxy(behind: LocalServer, certificate: Path, host: str = "localhost") -> Iterator[str]:
    """Its address, with a certificate for that host, for an hour."""
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Proxy, behind))
    proxy.socket = certified(host, certificate).wrap_socket(proxy.socket, server_side=True)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"https://localhost:{proxy.server_address[1]}"
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()


def test_a_public_url_that_leads_here_elsewhere_or_nowhere(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        found = examined(tmp_path, **{URL: server.address})
        assert found.told("ok", "address") == [f"{server.address}/.well-known/jwks.json has the keys of this store"]
        assert found.levels("address") == {"ok"}
        # An issuer that is the same address is not asked a second time.
        found = examined(tmp_path, **{URL: server.address, "WATCHWORD__TOKENS__ISSUER": f"{server.address}/"})
        assert len(found.told("ok", "address")) == 1
        (tmp_path / "other").mkdir()
        with serving(tmp_path / "other") as other:
            found = examined(tmp_path, **{URL: other.address})
        assert found.names("address", "has none of the keys of this store")
    (told,) = examined(tmp_path, **{URL: other.address}).told("warning", "address")
    assert "can't be fetched from here (Connection refused)" in told
    (told,) = examined(tmp_path, **{URL: "https://nowhere.invalid"}).told("warning", "address")
    assert "https://nowhere.invalid/.well-known/jwks.json can't be fetched from here (" in told


def test_a_certificate_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = tmp_path / "certificate.pem"
    with serving(tmp_path) as server:
        with tls_proxy(server, certificate) as url:
            (told,) = examined(tmp_path, **{URL: url}).told("warning", "address")
            assert "its certificate is refused (self-signed certificate)" in told
            trusted = {URL: url, "SSL_CERT_FILE": str(certificate)}
            (told,) = examined(tmp_path, **trusted).told("warning", "address")
            assert "has the keys of this store, and a certificate for 0 more days; renew it" in told
            monkeypatch.setattr(address, "_FEW_DAYS", 0)
            (told,) = examined(tmp_path, **trusted).told("ok", "address")
            assert told.endswith("has the keys of this store, and a certificate for 0 more days")
        with tls_proxy(server, certificate, "other.example") as url:
            (told,) = examined(tmp_path, **{URL: url, "SSL_CERT_FILE": str(certificate)}).told("warning", "address")
            assert "its certificate is refused (Hostname mismatch" in told


def test_an_address_that_does_not_answer_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a server that is silent nor a name server, which knows no time limit."""
    monkeypatch.setattr(address, "WAIT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (told,) = examined(tmp_path, **{URL: f"http://localhost:{silent.getsockname()[1]}"}).told("warning", "address")
    assert "can't be fetched from here (" in told
    answered = threading.Event()
    monkeypatch.setattr(address, "_published", lambda _: answered.wait())
    (told,) = examined(tmp_path, **{URL: "https://auth.example.com"}).told("warning", "address")
    answered.set()
    assert "can't be fetched from here (no answer in time)" in told


def test_without_one_links_lead_to_the_listener(tmp_path: Path) -> None:
    (told,) = examined(tmp_path, WATCHWORD__SERVER__PORT="8080").told("note", "address")
    assert "links lead to http://127.0.0.1:8080, which only browsers on this machine reach" in told
    (told,) = examined(tmp_path, WATCHWORD__SERVER__HOST="192.0.2.1", WATCHWORD__SERVER__PORT="8080").told(
        "warning", "address"
    )
    assert told.startswith(
        "server.public_url is not set, so links lead to http://192.0.2.1:8080; set it to the https://"
    )
    (told,) = examined(tmp_path, WATCHWORD__SERVER__PORT="0").told("note", "address")
    assert "the port that the server picks at its start" in told
