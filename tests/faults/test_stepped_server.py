"""A whole server whose wall clock is set while it runs: at its first start, forward and back, and into 2038."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.calling import DEADLINE_SECONDS, wait_until, wait_until_revoked
from tests.faults.stepped_server import FILE, set_clock
from tests.figures import Figures
from tests.process.server_process import ServerProcess, run, serving
from tests.process.test_workers import settings
from tests.process.write_load import SETTINGS, claims_of
from tests.volume import IS_FULL
from watchword_client.encoding import decode_base64url

MODULE = "tests.faults.stepped_server"
HOUR, DAY = 3600, 86_400
YEARS = 2 * 365 * DAY
# Ahead of the machine, one after the other; the first is that of the first start.
CLOCKS = (-YEARS, 0, HOUR, 0, -HOUR, DAY, -DAY, 0, YEARS, 0)
_LIFE = 14 * DAY

pytestmark = pytest.mark.skipif(not IS_FULL, reason="make faults runs it; test_clock.py has the same within a process")


class Clocked:
    """A server, and what its clock is ahead."""

    def __init__(self, server: ServerProcess, folder: Path) -> None:
        self.server, self._folder = server, folder
        self._admin = server.admin_password()
        self._mails = 0

    def now(self, ahead: int) -> float:
        return time.time() + ahead

    def set(self, ahead: int) -> None:
        set_clock(self._folder / "clock", ahead)

    def require_service(self, ahead: int) -> None:
        """Log in, check, refresh, log out, mail: each by this clock."""
        answer = self.server.log_in("admin", self._admin)
        claims = claims_of(answer["token"])
        assert abs(claims["iat"] - self.now(ahead)) < DEADLINE_SECONDS
        assert claims["exp"] == claims["iat"] + 300
        assert self._me(answer) == 200
        answer = self._call("POST", "/refresh", {"refresh_token": answer["refresh_token"]}, expected=200)
        self._mails += 1
        address = f"user{self._mails}@example.com"
        assert self._call("POST", "/invitations", {"email": address}, answer["token"], expected=201)["mailed"]
        # The machine's clock decides how long it may take: no back-off waits for a time that was never.
        wait_until(lambda: len(list((self._folder / "mails").glob("*.eml"))) == self._mails)
        self._call("POST", "/logout", token=answer["token"], expected=204)
        wait_until_revoked(self.server, answer["token"])
        assert self.server.call("GET", "/health/ready")[0] == 200
        keys = self._call("GET", "/.well-known/jwks.json", expected=200)["keys"]
        assert json.loads(decode_base64url(answer["token"].partition(".")[0]))["kid"] in {key["kid"] for key in keys}

    def _me(self, answer: dict[str, Any]) -> int:
        return self.server.call("GET", "/me", token=answer["token"])[0]

    def _call(self, method: str, path: str, body: Any = None, token: str | None = None, *, expected: int) -> Any:
        status, answer = self.server.call(method, path, body, token)
        assert status == expected, answer
        return answer

    def require_old(self, answer: dict[str, Any], ahead: int) -> dict[str, Any]:
        """A session from before goes on, unless it would be over by this clock. Returns its latest tokens."""
        status, found = self.server.call("POST", "/refresh", {"refresh_token": answer["refresh_token"]})
        if ahead > _LIFE:
            assert (status, found["code"]) == (401, "refresh_expired")
            return answer
        assert status == 200, found
        assert self._me(found) == 200
        return found


@pytest.mark.parametrize(("store", "workers"), [("sqlite", 2), ("postgres", 1)])
def test_steps_of_the_clock_while_the_server_runs(
    request: pytest.FixtureRequest, tmp_path: Path, figures: Figures, store: str, workers: int
) -> None:
    url = request.getfixturevalue("postgres_url") if store == "postgres" else f"sqlite:///{tmp_path}/watchword.db"
    mine = {FILE: str(tmp_path / "clock"), "WATCHWORD__MAIL__URL": f"file://{tmp_path}/mails"}
    same = SETTINGS | settings(url, workers) | mine | {"WATCHWORD__TOKENS__ACCESS_TTL_SECONDS": "300"}
    set_clock(tmp_path / "clock", CLOCKS[0])
    with serving(tmp_path, log_to=None, module=MODULE, **same) as server:
        clocked = Clocked(server, tmp_path)
        old: dict[str, Any] | None = None
        for ahead in CLOCKS:
            clocked.set(ahead)
            clocked.require_service(ahead)
            if old is not None:
                old = clocked.require_old(old, ahead)
            elif ahead == 0:
                old = server.log_in("admin", server.admin_password())
        _require_told(tmp_path, clocked, same)
        assert server.stop() == 0
        assert "Traceback" not in server.log(), server.log()[-5000:]
    figures.told(f"clock: steps of a {store} server while it runs, with all of its service after each", len(CLOCKS) - 1)


def _require_told(folder: Path, clocked: Clocked, same: dict[str, str]) -> None:
    """By a clock that is an hour behind, `doctor` says so, and the audit log is one chain all the same."""
    clocked.set(-HOUR)
    told = run(folder, "doctor", module=MODULE, **same)
    assert "the last record of the audit log is of" in told.stdout
    verified = run(folder, "audit", "verify", module=MODULE, **same)
    assert verified.returncode == 0, verified.stderr
    clocked.set(0)


def test_a_server_runs_into_2038(tmp_path: Path) -> None:
    """The last second that 31 bits hold passes while it serves."""
    boundary = 2**31
    mine = {FILE: str(tmp_path / "clock"), "WATCHWORD__MAIL__URL": f"file://{tmp_path}/mails"}
    set_clock(tmp_path / "clock", boundary - 5 - int(time.time()))
    with serving(tmp_path, log_to=None, module=MODULE, **SETTINGS, **mine) as server:
        ahead = boundary - 2 - int(time.time())
        clocked = Clocked(server, tmp_path)
        clocked.set(ahead)
        before = server.log_in("admin", server.admin_password())
        wait_until(lambda: clocked.now(ahead) > boundary)
        assert server.call("GET", "/me", token=before["token"])[0] == 200
        answer = clocked.require_old(before, 0)
        assert claims_of(answer["token"])["iat"] >= boundary
        assert server.stop() == 0
        assert '"timestamp":"2038-01-19T03:14:0' in server.log()
