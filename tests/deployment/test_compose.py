"""compose.yaml. Nothing is started from it here: what it names is looked for, and nginx runs with its file."""

from __future__ import annotations

import ipaddress
import shlex
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.cli.commands import COMMANDS
from server.settings import load_settings
from tests.deployment.console import commands
from tests.deployment.dockerfile import instructions
from tests.deployment.nginx import running
from tests.environment import ROOT
from tests.proxy.application import Application, application
from tests.proxy.conftest import nginx

__all__ = ["nginx"]

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if service["image"] == "watchword"}


def test_every_service_is_contained_and_comes_again() -> None:
    for name, service in SERVICES.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["restart"] == ("no" if name == "migrate" else "unless-stopped"), name
        assert name in OURS or ":" in service["image"], f"{name} takes whatever is the latest"
        assert "privileged" not in service
        assert ("ports" in service) == (name == "proxy")


def test_what_services_name_is_there() -> None:
    for service in SERVICES.values():
        assert set(service.get("secrets", [])) <= COMPOSE["secrets"].keys()
        assert set(service["networks"]) <= COMPOSE["networks"].keys()
        for other, how in service.get("depends_on", {}).items():
            condition = how["condition"]
            assert condition == ("service_completed_successfully" if other == "migrate" else "service_healthy")
            healthcheck = SERVICES[other].get("healthcheck", {})
            assert other == "migrate" or other in OURS or healthcheck["test"]
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (ROOT / source).is_file()


def test_our_services_run_commands_that_there_are_and_have_time_to_end() -> None:
    assert [instruction.text for instruction in instructions() if instruction.name == "ENTRYPOINT"] == ['["watchword"]']
    for name in OURS:
        assert SERVICES[name]["command"][0] in COMMANDS
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > 10


def test_the_commands_of_the_page_name_services_commands_and_variables_that_there_are() -> None:
    for command in commands(ROOT / "docs" / "production.md", "$ "):
        words = [word for word in shlex.split(command) if not word.startswith("--")]
        if words[:2] == ["docker", "compose"]:
            called = [word for word in words[3:] if word not in {"postgres", "watchword"}]
            assert not called or called[0] in SERVICES, command
            assert len(called) < 2 or called[1] in {*COMMANDS, "pg_dump"}, command
        elif words[:2] == ["docker", "run"] or words[:2] == ["docker", "exec"]:
            given = dict(word.split("=") for word in words if "=" in word)
            load_settings(Path("/dev/null"), given)
            ours = words[words.index("watchword") + 1 :]
            assert "--detach" in command or set(ours) & COMMANDS.keys(), command
        else:
            assert words[0] in {"docker", "sh"}, command


def test_the_nodes_have_addresses_in_the_network_whose_proxy_they_trust() -> None:
    (subnet,) = COMPOSE["networks"]["inside"]["ipam"]["config"]
    network = ipaddress.ip_network(subnet["subnet"])
    addresses = [SERVICES[name]["networks"]["inside"]["ipv4_address"] for name in ("node-1", "node-2")]
    assert len(set(addresses)) == 2
    assert all(ipaddress.ip_address(address) in network for address in addresses)
    for name in OURS:
        assert SERVICES[name]["environment"]["WATCHWORD__SERVER__TRUSTED_PROXIES"] == str(network)
    assert COMPOSE["networks"]["data"]["internal"] is True


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the script makes."""
    folder = tmp_path_factory.mktemp("compose")
    make = ["sh", str(ROOT / "examples" / "compose" / "make-secrets"), "auth.example.com"]
    subprocess.run(make, cwd=folder, check=True, capture_output=True)
    before = {file: file.read_bytes() for file in (folder / "secrets").iterdir()}
    subprocess.run(make, cwd=folder, check=True, capture_output=True)
    assert {file: file.read_bytes() for file in (folder / "secrets").iterdir()} == before
    return folder / "secrets"


def test_the_script_makes_each_secret_once(secrets: Path) -> None:
    named = {Path(secret["file"]) for secret in COMPOSE["secrets"].values()}
    assert {Path("secrets", file.name) for file in secrets.iterdir()} == named
    assert secrets.stat().st_mode & 0o777 == 0o700
    # Whoever runs a container reads its own; the folder keeps out everybody else on the host.
    assert {file.stat().st_mode & 0o777 for file in secrets.iterdir()} == {0o644}


def test_the_nodes_take_the_secrets(secrets: Path) -> None:
    for name in OURS:
        environment = {
            variable: value.replace("/run/secrets", str(secrets))
            for variable, value in SERVICES[name]["environment"].items()
        }
        settings = load_settings(environment=environment).settings
        password = (secrets / "postgres_password").read_text().strip()
        assert settings.store.url == f"postgresql://watchword:{password}@database/watchword"
        assert settings.keys.master_key
        # The network is the container's own.
        assert [line for line in settings.weaknesses() if not line.startswith("metrics.host")] == []


@pytest.fixture(scope="module")
def nodes() -> Iterator[tuple[Application, Application]]:
    """In the place of the two nodes."""
    with application() as first, application() as second:
        yield first, second


def _asked(host: str, address: tuple[str, int], context: ssl.SSLContext | None, request: str) -> str:
    plain = socket.create_connection(address)
    with context.wrap_socket(plain, server_hostname=host) if context else plain as connection:
        connection.sendall(f"{request}\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer.decode()


def test_nginx_ends_tls_and_asks_a_node_that_answers(
    nginx: str, secrets: Path, nodes: tuple[Application, Application], tmp_path: Path
) -> None:
    first, second = nodes
    replaced = {
        "pid /tmp/": f"pid {tmp_path}/",
        "_temp_path /tmp/": f"_temp_path {tmp_path}/",
        "/run/secrets/": f"{secrets}/",
        "server node-1:8080;": f"server {first.address};",
        # Nobody listens there, as on a node that is restarted.
        "server node-2:8080;": "server 127.0.0.1:1;",
    }
    context = ssl.create_default_context(cafile=str(secrets / "tls.crt"))
    with running(nginx, ROOT / "examples" / "compose" / "nginx.conf", replaced, {"8080": "", "8443": " ssl"}) as ports:
        plain, encrypted = ("127.0.0.1", ports["8080"]), ("127.0.0.1", ports["8443"])
        for _ in range(6):
            forged = "\r\nX-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1"
            answer = _asked("auth.example.com", encrypted, context, f"POST /login?x HTTP/1.1{forged}")
            assert answer.startswith("HTTP/1.1 200 ")
            assert "\r\nStrict-Transport-Security: max-age=" in answer
        sent_on = _asked("auth.example.com", plain, None, "GET /docs HTTP/1.1")
        assert sent_on.startswith("HTTP/1.1 301 ")
        assert "\r\nLocation: https://auth.example.com/docs\r\n" in sent_on
        assert _asked("auth.example.com", plain, None, "POST /login HTTP/1.1").startswith("HTTP/1.1 403 ")
    assert len(first.calls) == 6
    for call in first.calls:
        assert (call.method, call.path) == ("POST", "/login?x")
        assert call.values("X-Forwarded-For") == ["127.0.0.1"]
        assert call.values("X-Forwarded-Proto") == ["https"]
        assert call.values("Host") == ["auth.example.com"]
        assert call.values("Forwarded") == []
    assert second.calls == []
