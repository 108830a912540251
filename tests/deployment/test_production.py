"""docs/production.md: root's commands are run, one after the other, on a copy of this machine that systemd has booted.

What is there in place of something else, and nothing beside it:

- apt-get only looks whether the packages are installed;
- git copies this checkout, and a pull leaves behind the wheel of an earlier version;
- certbot makes a certificate that the machine trusts, and the name auth.example.com leads to the machine itself;
- pip finds the packages installed that it would load from a registry: they are those of the test's own environment, and
  pip itself, too;
- the password in the login is one that the test has set;
- the database is the one of the tests, and the machine has its socket.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.deployment.console import commands
from tests.deployment.machine import CHECKOUT, Machine, machine
from tests.environment import ROOT
from tests.postgres import PostgresServer

# One process of the tests does all of them, so the page is followed once.
pytestmark = pytest.mark.xdist_group("production")

PAGE = ROOT / "docs" / "production.md"
PASSWORD = "brown otters juggle turnips"
APT_GET = """
[ "$1" = install ] || exit 0
shift
for name; do
    case $name in -* | git | python3-venv | certbot) ;; *) dpkg --status "$name" >/dev/null || exit 1 ;; esac
done
"""
GIT = f"""
[ "$1" = pull ] && touch dist/watchword-0.0.1-py3-none-any.whl
[ "$1" = clone ] || exit 0
mkdir -p "$3"
cd {CHECKOUT}
/usr/bin/git -c safe.directory='*' ls-files --cached --others --exclude-standard -z |
    xargs -0 cp --parents --target-directory="$3"
"""
CERTBOT = """
folder=/etc/letsencrypt/live/auth.example.com
mkdir -p $folder
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj /CN=auth.example.com \\
    -addext subjectAltName=DNS:auth.example.com -keyout $folder/privkey.pem -out $folder/fullchain.pem
cat $folder/fullchain.pem >>/etc/ssl/certs/ca-certificates.crt
"""


DATABASE = "postgresql://watchword:PASSWORD@db.example.com/watchword?sslmode=verify-full"
SOCKET = "/run/postgresql/.s.PGSQL.5432"


class Operator:
    """Root, who has followed the page. `said` has each command, with what it has written to standard output."""

    def __init__(self, machine: Machine, database: str) -> None:
        self.machine = machine
        self._database = f"postgresql://postgres@/{database}?host={Path(SOCKET).parent}"
        self.said: list[tuple[str, str]] = []
        self._folder = "/root"
        machine.stand_in("apt-get", APT_GET)
        machine.stand_in("git", GIT)
        machine.stand_in("certbot", CERTBOT)
        machine.run("echo 127.0.0.1 auth.example.com >>/etc/hosts")

    def follow(self) -> None:
        for command in commands(PAGE, "# "):
            self._before(command)
            if command.startswith("cd "):
                self._folder = command.removeprefix("cd ")
            if command.startswith("python3 -m venv "):
                continue
            done = self.machine.run(
                f"cd {self._folder}\n{command.replace('…', PASSWORD).replace(DATABASE, self._database)}"
            )
            self.said.append((command, done.stdout))
            if command.startswith("watchword users create"):
                self.machine.run("watchword users set-password ada --password-stdin", stdin=PASSWORD)

    def _before(self, command: str) -> None:
        if command.startswith("python3 -m venv "):
            self.machine.make_environment(command.rsplit(maxsplit=1)[-1])
        if command == "make build":
            self.machine.make_environment(f"{self._folder}/.venv")
            self.machine.give_packages(f"{self._folder}/.venv", ROOT / "requirements-build.txt")
        if "pip install" in command and "--requirement" in command:
            self.machine.give_packages("/opt/watchword", ROOT / command.rsplit(maxsplit=1)[-1])

    def each(self, beginning: str) -> list[str]:
        """What the commands that begin so have said."""
        found = [said for command, said in self.said if command.startswith(beginning)]
        assert found, f"no command of the page begins with {beginning}"
        return found


# The packages of programs that a small Debian has not. All others are of packages that every Debian has.
PACKAGES = {"curl": "curl", "certbot": "certbot", "git": "git", "make": "make", "nginx": "nginx-light",
            "python3": "python3-venv", "sqlite3": "sqlite3"}  # fmt: skip
ALWAYS = {"apt-get", "cat", "cd", "chown", "cp", "df", "install", "journalctl", "ln", "ls", "mv", "systemctl",
          "timedatectl", "useradd"}  # fmt: skip


def test_the_page_installs_the_programs_that_it_uses() -> None:
    (install,) = [command for command in commands(PAGE, "# ") if command.startswith("apt-get install")]
    used = {command.split()[0] for command in commands(PAGE, "# ") if not command.startswith("(umask 077; cat")}
    used -= {"watchword", "/opt/watchword/bin/pip"}
    assert used <= PACKAGES.keys() | ALWAYS
    assert {package for program, package in PACKAGES.items() if program in used} == set(install.split()[4:])


@pytest.fixture(scope="module")
def operator(postgres_server: PostgresServer, worker_id: str) -> Iterator[Operator]:
    database = f"production_{worker_id}"
    asyncio.run(_do_in(postgres_server, f"CREATE DATABASE {database}"))
    with machine(f"--bind={postgres_server.socket}:{SOCKET}") as running:
        operator = Operator(running, database)
        operator.follow()
        yield operator
    asyncio.run(_do_in(postgres_server, f"DROP DATABASE {database} WITH (FORCE)"))


async def _do_in(server: PostgresServer, statement: str) -> None:
    connection = await asyncpg.connect(server.url())
    await connection.execute(statement)
    await connection.close()


def test_what_the_page_says_comes_true(operator: Operator) -> None:
    assert {said.splitlines()[-1] for said in operator.each("watchword config check")} == {"the settings are fine"}
    assert set(operator.each("watchword health")) == {"ready\n"}
    (metrics,) = operator.each("curl --fail --silent --show-error http://127.0.0.1:9464/")
    assert "watchword_login_total" in metrics
    (ready,) = operator.each("curl --fail --silent --show-error https://")
    assert json.loads(ready) == {"status": "ok"}
    (logged_in,) = operator.each("curl --silent --request POST")
    assert json.loads(logged_in)["token_type"] == "Bearer"
    (found,) = operator.each("watchword doctor")
    assert {line.split()[0] for line in found.splitlines()} <= {"ok", "note"}, found
    (copies,) = operator.each("ls -l /var/backups/watchword")
    assert copies.count("-rw------- 1 watchword watchword") == 2
    (rehearsed,) = operator.each("journalctl --unit=watchword-rehearsal")
    assert "can be restored, with 1 users" in rehearsed
    assert all("none altered" in said for said in operator.each("watchword audit verify"))
    _, moved = operator.each("watchword store move")
    assert "moved /var/lib/watchword/watchword.db to postgresql://" in moved
    assert "imported 1, already there 0, refused 0\n" in operator.each("watchword users import")


def test_no_password_is_in_the_log_and_a_client_has_its_own_address(operator: Operator) -> None:
    log = operator.machine.run("journalctl --unit=watchword --output=cat --no-pager").stdout
    assert "password  " not in log
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    (login,) = [line for line in lines if line.get("route") == "/login"]
    assert (login["status"], login["client"]) == (200, "127.0.0.1")


def test_systemd_takes_the_units_and_finds_them_confined(operator: Operator) -> None:
    verified = operator.machine.run("systemd-analyze verify --man=no /etc/systemd/system/watchword*")
    assert (verified.stdout, verified.stderr) == ("", "")
    for unit in ("watchword", "watchword-backup", "watchword-rehearsal"):
        # OK is what systemd says below 5.0 of 10.
        said = operator.machine.run(f"systemd-analyze security --offline=true --no-pager {unit}.service").stdout
        exposure = said.splitlines()[-1]
        assert " OK " in exposure, exposure


def test_the_server_is_confined(operator: Operator) -> None:
    main = operator.machine.run("systemctl show --property=MainPID --value watchword").stdout.strip()
    status = operator.machine.run(f"cat /proc/{main}/status").stdout
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    user = operator.machine.run("id --user watchword").stdout.strip()
    assert facts["Uid"].split() == [user] * 4
    assert {int(facts[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")


def test_a_server_that_is_killed_comes_again(operator: Operator) -> None:
    operator.machine.run("systemctl kill --signal=SIGKILL --kill-who=main watchword")
    operator.machine.run("until [ $(systemctl show --property=NRestarts --value watchword) = 1 ]; do sleep 0.05; done")
    operator.machine.run("until watchword health; do sleep 0.05; done")


def test_a_setting_that_can_not_work_is_not_tried_again(operator: Operator) -> None:
    operator.machine.run("echo 'port = 8081' >>/etc/watchword/config.toml; systemctl restart watchword", check=False)
    operator.machine.run("until systemctl is-failed --quiet watchword; do sleep 0.05; done")
    assert operator.machine.run("systemctl show --property=ExecMainStatus --value watchword").stdout == "2\n"
