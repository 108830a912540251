"""Both wheels, the server's and the client library's, have everything that the checkout has."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from server import __version__
from server.keys.key_material import public_jwk
from tests.forging import AUDIENCE, ISSUER, claims_with, forge, header_of, signing_key
from tests.process.server_process import ROOT, environment, run, serving

PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
OFFLINE = ["--no-deps", "--no-index"]


def built(source: Path, folder: Path) -> Path:
    subprocess.run(
        [*PIP, "wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", str(folder), str(source)], check=True
    )
    (wheel,) = folder.iterdir()
    return wheel


@pytest.fixture(scope="module")
def server_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT, tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def client_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT / "watchword_client", tmp_path_factory.mktemp("client"))


def test_an_installed_wheel_serves_outside_the_checkout(tmp_path: Path, server_wheel: Path) -> None:
    installed, folder = tmp_path / "installed", tmp_path / "elsewhere"
    folder.mkdir()
    subprocess.run([*PIP, "install", *OFFLINE, "--target", str(installed), str(server_wheel)], check=True)
    # The packages that it needs come from this environment; the server itself must not.
    environment = {"PYTHONPATH": str(installed)}
    assert run(folder, "--version", **environment).stdout.startswith("watchword ")
    published = run(
        folder, "config", "check", WATCHWORD__TOKENS__SECRET="my very long and safe secret key", **environment
    )
    assert (published.returncode, "tokens.secret: is too weak: it is one of those" in published.stderr) == (2, True)
    with serving(folder, log_to=None, module="server", **environment) as server:
        where = Path(f"/proc/{server.process.pid}/cwd").readlink()
        assert where == folder
        token = server.log_in("admin", server.admin_password())["token"]
        assert server.call("GET", "/users", token=token)[0] == 200
        assert server.call("GET", "/openapi.json")[0] == 200
        assert server.stop() == 0
    location = [sys.executable, "-c", "import server; print(server.__file__)"]
    found = subprocess.check_output(location, cwd=folder, env=environment, text=True)
    assert Path(found.strip()).is_relative_to(installed)


class CleanEnvironment:
    """An empty environment, and what packages of ours need, linked from here."""

    def __init__(self, folder: Path, *wheels: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        self.python = folder / "bin" / "python"
        install = ["--python", str(self.python), "install", *OFFLINE]
        for wheel in wheels:
            subprocess.run([*PIP, *install, str(wheel)], check=True)
        (self.packages,) = (folder / "lib").glob("python*/site-packages")

    def link_what_is_needed_by(self, *requirements: str) -> None:
        for name in needed_by(*requirements):
            found = distribution(name)
            for top in {file.parts[0] for file in found.files or () if file.parts[0] not in {"..", "__pycache__"}}:
                (self.packages / top).symlink_to(Path(str(found.locate_file(top))))

    def requirements_of(self, name: str) -> list[str]:
        (metadata,) = self.packages.glob(f"{name}-*.dist-info/METADATA")
        return re.findall(r"^Requires-Dist: (.+)$", metadata.read_text("utf-8"), re.MULTILINE)

    def output_of(self, *arguments: str, folder: Path) -> str:
        variables = environment()
        del variables["PYTHONPATH"]
        return subprocess.check_output([str(self.python), *arguments], cwd=folder, env=variables, text=True, timeout=60)


def needed_by(*requirements: str) -> set[str]:
    """The names of all distributions, with those that they need themselves."""
    waiting, seen = [Requirement(text) for text in requirements], set()
    names: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        if str(requirement) in seen:
            continue
        seen.add(str(requirement))
        names.add(canonicalize_name(requirement.name))
        for text in distribution(requirement.name).requires or ():
            further = Requirement(text)
            extras = requirement.extras or {""}
            if further.marker is None or any(further.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(further)
    return names


APPLICATION = """
import asyncio, json, sys

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from watchword_client import KeySet, TokenVerifier, claims_of, only, protect


async def reports(request):
    return web.json_response({"for": claims_of(request).username})


async def statuses(keys, issuer, audience, token):
    app = web.Application()
    app.router.add_get("/reports", reports)
    protect(app, TokenVerifier(KeySet.parse(keys), issuer=issuer, audience=audience), {"GET /reports": only("admin")})
    async with TestClient(TestServer(app)) as client:
        refused = await client.get("/reports")
        taken = await client.get("/reports", headers={"Authorization": f"Bearer {token}"})
        return [refused.status, taken.status, await taken.json()]


def main():
    print(json.dumps({
        "answers": asyncio.run(statuses(*sys.argv[1:])),
        "modules": {name: getattr(module, "__file__", None) for name, module in sys.modules.items()},
    }))
"""


@pytest.mark.parametrize("shape", ["server.py", "server/__init__.py"])
def test_the_client_library_alone_guards_an_application_that_has_a_server_of_its_own(
    tmp_path: Path, client_wheel: Path, shape: str
) -> None:
    clean = CleanEnvironment(tmp_path / "environment", client_wheel)
    clean.link_what_is_needed_by(*clean.requirements_of("watchword_client"))
    folder = tmp_path / "application"
    (folder / shape).parent.mkdir(parents=True)
    (folder / shape).write_text(APPLICATION)
    # A server's tokens are for its clock: these hold for an hour of the real one.
    key, now = signing_key("ES256"), int(time.time())
    token = forge(key, header_of(key), claims_with(iat=now, exp=now + 3600, role="admin"))
    jwks = json.dumps({"keys": [public_jwk(key.material, "ES256")]})
    told = json.loads(
        clean.output_of("-c", "import server; server.main()", jwks, ISSUER, AUDIENCE, token, folder=folder)
    )
    assert told["answers"] == [401, 200, {"for": "lak"}]
    modules: dict[str, str | None] = told["modules"]
    assert modules["server"] == str(folder / shape)
    assert Path(modules["watchword_client"] or "").is_relative_to(clean.packages)
    assert not modules.keys() & {"structlog", "pydantic", "orjson"}
    assert not [file for file in modules.values() if file and Path(file).is_relative_to(ROOT / "server")]


def test_both_wheels_have_the_same_library_and_fit_into_one_environment(
    tmp_path: Path, server_wheel: Path, client_wheel: Path
) -> None:
    libraries = []
    for wheel in (server_wheel, client_wheel):
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.startswith("watchword_client/")]
            libraries.append({name: archive.read(name) for name in names})
    assert libraries[0] == libraries[1]
    assert {"watchword_client/py.typed", "watchword_client/__init__.py"} <= libraries[0].keys()
    together = CleanEnvironment(tmp_path / "environment", server_wheel, client_wheel)
    versions = "from importlib.metadata import version as v; print(v('watchword'), v('watchword-client'))"
    assert together.output_of("-c", versions, folder=tmp_path).split() == [__version__, __version__]


def test_the_library_has_the_license_of_the_whole() -> None:
    assert (ROOT / "watchword_client" / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
