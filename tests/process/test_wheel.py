"""The wheel has everything that the checkout has: migrations and all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.process.server_process import ROOT, run, serving


def test_an_installed_wheel_serves_outside_the_checkout(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*pip, "wheel", *offline, "--wheel-dir", str(tmp_path / "built"), str(ROOT)], check=True)
    (wheel,) = (tmp_path / "built").iterdir()
    installed, folder = tmp_path / "installed", tmp_path / "elsewhere"
    folder.mkdir()
    subprocess.run([*pip, "install", *offline, "--target", str(installed), str(wheel)], check=True)
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
