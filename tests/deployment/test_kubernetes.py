"""examples/kubernetes: what the manifests say of the program is so. No cluster runs here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.cli.commands import COMMANDS
from server.routes import ROUTES
from server.settings import Settings, load_settings
from tests.deployment.dockerfile import stages, variables
from tests.environment import ROOT

FOLDER = ROOT / "examples" / "kubernetes"
IMAGE = {instruction.name: instruction.text for instruction in stages()[-1]}
PATHS = {route.path for route in ROUTES if route.method == "GET"}
STRONG = "aV1xQ0w7c2R0b3ZkbTk3cmZnZ2pTYk5xUmtLcUtYU2E="
SECRETS = {"store.url": "postgresql://watchword:x@db.example.com/watchword", "keys.master_key": STRONG}


class Manifest:
    """The resources of a file, by kind."""

    def __init__(self, name: str) -> None:
        documents: list[dict[str, Any]] = list(yaml.safe_load_all((FOLDER / name).read_text("utf-8")))
        self.of = {document["kind"]: document for document in documents}
        self.workload: dict[str, Any] = self.of.get("Deployment") or self.of["StatefulSet"]

    def pods(self) -> list[dict[str, Any]]:
        """The templates of all pods."""
        return [self.of[kind]["spec"]["template"] for kind in ("Job", "Deployment", "StatefulSet") if kind in self.of]

    def containers(self) -> list[dict[str, Any]]:
        return [container for pod in self.pods() for container in pod["spec"]["containers"]]


@pytest.fixture(params=["postgresql.yaml", "sqlite.yaml"])
def manifest(request: pytest.FixtureRequest) -> Manifest:
    return Manifest(request.param)


def test_pods_have_no_rights_and_are_the_user_of_the_image(manifest: Manifest) -> None:
    user, group = map(int, IMAGE["USER"].split(":"))
    for pod in manifest.pods():
        context = pod["spec"]["securityContext"]
        assert (context["runAsNonRoot"], context["runAsUser"], context["runAsGroup"]) == (True, user, group)
        assert (context["fsGroup"], context["seccompProfile"]) == (group, {"type": "RuntimeDefault"})
        assert (pod["spec"]["enableServiceLinks"], pod["spec"]["automountServiceAccountToken"]) == (False, False)
    for container in manifest.containers():
        context = container["securityContext"]
        assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True)
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}["tmp"] == "/tmp"  # noqa: S108


def test_what_is_mounted_is_declared(manifest: Manifest) -> None:
    claims = manifest.workload["spec"].get("volumeClaimTemplates", [])
    for pod in manifest.pods():
        declared = {volume["name"] for volume in pod["spec"]["volumes"]} | {one["metadata"]["name"] for one in claims}
        for container in pod["spec"]["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} == declared


def test_the_probes_ask_routes_that_there_are_at_the_port_that_is_listened_on(manifest: Manifest) -> None:
    (container,) = manifest.workload["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
    annotations = manifest.workload["spec"]["template"]["metadata"]["annotations"]
    assert ports == {"http": IMAGE["EXPOSE"], "metrics": annotations["prometheus.io/port"]}
    asked = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert {probe["port"] for probe in asked.values()} == {"http"}
    paths = {kind: probe["path"] for kind, probe in asked.items()}
    assert paths == {"startup": "/health/ready", "liveness": "/health/live", "readiness": "/health/ready"}
    assert set(paths.values()) <= PATHS
    # The answer takes a second at most.
    assert all(container[f"{kind}Probe"]["timeoutSeconds"] > 1 for kind in asked)


def test_there_is_time_for_the_pause_and_for_the_end(manifest: Manifest) -> None:
    pod = manifest.workload["spec"]["template"]["spec"]
    command = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert command[0] == "sleep"
    assert pod["terminationGracePeriodSeconds"] > int(command[1]) + 10


def test_labels_lead_to_the_nodes_and_to_nothing_else(manifest: Manifest) -> None:
    labels = manifest.workload["spec"]["template"]["metadata"]["labels"]
    assert manifest.workload["spec"]["selector"]["matchLabels"] == labels
    assert manifest.of["Service"]["spec"]["selector"] == labels
    assert [port["targetPort"] for port in manifest.of["Service"]["spec"]["ports"]] == ["http"]
    if "Job" in manifest.of:
        assert manifest.of["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
        assert manifest.of["Job"]["spec"]["template"]["metadata"]["labels"] != labels


def _settings(manifest: Manifest, container: dict[str, Any], folder: Path) -> Settings:
    """What the program in the container would read."""
    for name, secret in SECRETS.items():
        (folder / name).write_text(secret)
    (folder / "config.toml").write_text(manifest.of["ConfigMap"]["data"]["config.toml"])
    given = {
        one["name"]: one["value"].replace("/run/secrets/watchword", str(folder)) for one in container.get("env", [])
    }
    return load_settings(folder / "config.toml", variables(stages()[-1]) | given).settings


def test_the_program_takes_its_arguments_settings_and_secrets(manifest: Manifest, tmp_path: Path) -> None:
    for container in manifest.containers():
        option, path, command, *options = container["args"]
        assert (option, path) == ("--config", "/etc/watchword/config.toml")
        assert command in COMMANDS
        # With several nodes the tables are changed by the job alone.
        assert options == (["--no-migrate"] if manifest.workload["kind"] == "Deployment" and command == "serve" else [])
        settings = _settings(manifest, container, tmp_path)
        assert str(settings.server.port) == IMAGE["EXPOSE"]
        assert settings.server.trusted_proxies
        if "ports" in container:
            assert settings.metrics.port in {port["containerPort"] for port in container["ports"]}
            # The network is the container's own.
            assert [line for line in settings.weaknesses() if not line.startswith("metrics.host")] == []
        if "Job" in manifest.of:
            assert settings.store.url == SECRETS["store.url"]
        else:
            mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
            assert str(Path(settings.store.url.removeprefix("sqlite:///")).parent) in mounts


def test_sqlite_has_one_node() -> None:
    manifest = Manifest("sqlite.yaml")
    assert (manifest.workload["kind"], manifest.workload["spec"]["replicas"]) == ("StatefulSet", 1)
    (claim,) = manifest.workload["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_the_commands_of_the_readme_name_what_there_is() -> None:
    text = (FOLDER / "README.md").read_text("utf-8").replace("\\\n", " ")
    ours = re.findall(r"-- +watchword --config /etc/watchword/config.toml (\w+)", text)
    assert ours
    assert set(ours) <= COMMANDS.keys()
    for name in re.findall(r"--filename (\S+)", text):
        assert (ROOT / name).is_file()
    assert set(re.findall(r"--from-literal=([\w.]+)=", text)) == SECRETS.keys()
    for kind, name in re.findall(r"\b(deployment|statefulset|job)[/ ](watchword[\w-]*)", text):
        assert any(
            resource["metadata"]["name"] == name
            for file in ("postgresql.yaml", "sqlite.yaml")
            for found, resource in Manifest(file).of.items()
            if found.lower() == kind
        )
