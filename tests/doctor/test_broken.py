"""Installations that are broken: the cause of each is named, and nothing else is."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from server.database.migration_files import migrations
from server.database.sqlite import condition
from server.database.sqlite.contents import beside
from server.doctor import sqlite_store
from tests.doctor.examined import examined
from tests.environment import ROOT
from tests.in_process import run, serving
from tests.listening import free_port, listening
from tests.needed import require
from tests.other_user import nobody, open_folder
from tests.running import MASTER_KEY, PASSWORD
from tests.users.test_commands import make

OTHER_KEY = MASTER_KEY[::-1]
__all__ = ["open_folder"]
BODY = json.dumps({"username": "lak", "password": PASSWORD}).encode()
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="root, to be two users")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The file of a store that a server has made."""
    with serving(tmp_path):
        pass
    return tmp_path / "data" / "watchword.db"


def sql(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[server\nport = 1\n", "is not TOML"),
        ("[server]\nprot = 1\n", "server.prot: there is no such setting"),
        ('[server]\nworkers = "2"\n', "server.workers: write a whole number"),
        ('[tokens]\nalgorithm = "HS256"\nsecret = "your-256-bit-secret"\n', "tokens.secret: is too weak"),
        ('[tokens]\nalgorithm = "HS256"\n', "tokens.secret: HS256 needs it"),
        ('[access]\n"GET /nothing" = ["admin"]\n', 'access."GET /nothing": there is no such route'),
        ('[store]\nurl = "mysql://x"\n', "store.url: is not a store"),
    ],
)
def test_wrong_settings(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "config.toml").write_text(content)
    found = examined(tmp_path)
    assert found.names("settings", told)
    assert not any("your-256-bit-secret" in text for one in found.findings for text in one.values())


def test_a_settings_file_that_is_not_there_or_a_published_secret_in_the_environment(tmp_path: Path) -> None:
    assert examined(tmp_path, "--config", "missing.toml").names("settings", "there is no such file")
    # In the example of RFC 7515, appendix A.1.
    secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
    changes = {"WATCHWORD__TOKENS__ALGORITHM": "HS256", "WATCHWORD__TOKENS__SECRET": secret}
    assert examined(tmp_path, **changes).names("settings", "tokens.secret: is too weak")


def test_a_missing_a_wrong_and_a_readable_master_key(store: Path) -> None:
    folder, key = store.parents[1], beside(store, ".key")
    content = key.read_text()
    key.chmod(0o640)
    assert examined(folder).names("keys", "chmod 600")
    key.chmod(0o600)
    key.write_text(OTHER_KEY + "\n")
    assert examined(folder).names("keys", "the master key does not fit this store")
    key.unlink()
    assert examined(folder).names("keys", "is missing, the master key that this store's keys are sealed with")
    assert not key.exists()
    changes = {"WATCHWORD__KEYS__MASTER_KEY": OTHER_KEY}
    assert examined(folder, **changes).names("keys", "the master key does not fit this store")
    both = examined(folder, WATCHWORD__KEYS__MASTER_KEY=json.dumps([OTHER_KEY, content.strip()]))
    (told,) = both.told("warning", "keys")
    assert told.startswith("some keys are still sealed under an older one of the 2 master keys in keys.master_key; ")
    both = examined(folder, WATCHWORD__KEYS__MASTER_KEY=json.dumps([content.strip(), OTHER_KEY]))
    assert [text.rpartition("; ")[2] for text in both.told("note", "keys")] == ["take the others out"]


def test_another_algorithm_than_the_one_that_signs(store: Path) -> None:
    found = examined(store.parents[1], WATCHWORD__TOKENS__ALGORITHM="EdDSA")
    (told,) = found.told("warning", "keys")
    assert told.startswith("tokens are signed by ES256, and tokens.algorithm is EdDSA; restart the server")


def test_revoked_keys_are_named(store: Path) -> None:
    kid = json.loads(run(store.parents[1], "keys", "list", "--json").stdout)["keys"][0]["kid"]
    assert run(store.parents[1], "keys", "revoke", kid).returncode == 0
    assert f"revoked, and not forgotten yet: {kid}" in examined(store.parents[1]).told("note", "keys")


def test_what_is_no_file_gets_no_advice_about_its_rights(tmp_path: Path) -> None:
    """Who follows it would change a device of the machine."""
    pipe, folder, file = tmp_path / "pipe", tmp_path / "folder", tmp_path / "file"
    os.mkfifo(pipe)
    folder.mkdir()
    file.touch()
    for place, topic, told in (
        (Path("/dev/null"), "store", "is a pipe, a socket or a device, no file"),
        (pipe, "store", "is a pipe, a socket or a device, no file"),
        (folder, "store", "is a folder, no file"),
        (file / "watchword.db", "files", f"{file} is no folder"),
    ):
        found = examined(tmp_path, WATCHWORD__STORE__URL=f"sqlite:///{place}")
        assert found.names(topic, told)
        assert not any("ch" + command in str(found.findings) for command in ("mod ", "own "))


def test_a_master_key_that_is_a_link_to_nowhere(store: Path) -> None:
    key = beside(store, ".key")
    key.unlink()
    key.symlink_to(store.parent / "nowhere")
    assert examined(store.parents[1]).names("files", f"{key} can't be used (No such file or directory)it is a link")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://[::1"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
    ],
)
def test_variables_of_opentelemetry_with_which_no_server_starts(tmp_path: Path, name: str, value: str) -> None:
    assert examined(tmp_path, **{name: value}).names("settings", f"{name}: ")


def test_migrations_that_are_pending_and_a_store_that_is_newer(store: Path) -> None:
    last = migrations("sqlite")[-1]
    sql(
        store,
        f"DELETE FROM schema_migrations WHERE version = {last.version}",  # noqa: S608 - a number of ours
        f"PRAGMA user_version = {last.version - 1}",
    )
    found = examined(store.parents[1])
    assert found.code == 0
    assert any(f"it needs {last.name}; `serve` applies that" in text for text in found.told("warning", "store"))
    sql(store, "PRAGMA user_version = 9999", "INSERT INTO schema_migrations (version, name, sha256, applied_at, "
        "needs) VALUES (9999, '9999_later', 'x', 0, 9999)")  # fmt: skip
    assert examined(store.parents[1]).names("store", "newer than this program")


def test_a_damaged_a_foreign_and_a_shortened_file(store: Path) -> None:
    content = store.read_bytes()
    damaged = bytearray(content)
    damaged[len(damaged) // 2 : len(damaged) // 2 + 4096 * 4] = os.urandom(4096 * 4)
    for broken in (bytes(damaged), content[: len(content) // 2], b"no database " * 1000):
        store.write_bytes(broken)
        assert examined(store.parents[1]).names("store", "is damaged or no SQLite database")
    store.write_bytes(b"")
    assert examined(store.parents[1]).names("store", "watchword.db")


def test_a_store_that_is_gone_while_its_key_is_there(store: Path) -> None:
    store.unlink()
    assert examined(store.parents[1]).names("store", "is gone, but what belongs to it is here")


def test_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(tmp_path / "disk" / "data")
    assert examined(tmp_path).names("store", "is a link into")


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Callable[[str], None]]:
    mount = ["/bin/mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    done = subprocess.run(mount, check=False, capture_output=True)
    require({"the right to mount a small file system": done.returncode == 0})

    def remount(options: str) -> None:
        subprocess.run(["/bin/mount", "-o", f"remount,{options}", str(folder)], check=True)

    try:
        yield remount
    finally:
        subprocess.run(["/bin/umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_one_that_is_nearly_full_and_one_that_only_reads(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    with small_disk(folder, 4000) as remount:
        with serving(tmp_path):
            pass
        assert any("are free on the file system" in text for text in examined(tmp_path).told("warning", "store"))
        with contextlib.suppress(OSError), (folder / "else").open("wb", buffering=0) as other:
            while True:
                other.write(bytes(4096))
        full = examined(tmp_path)
        assert full.names("store", "No space left on device")
        assert full.names("store", "make room, or move the store")
        (folder / "else").unlink()
        remount("ro")
        assert examined(tmp_path).names("files", "mounted read-only")


def test_a_large_log_and_what_interrupted_commands_left(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "_LARGE_LOG_BYTES", 10)
    (store.parent / "watchword.db.key.new").touch()
    (store.parent / "copy.db.unfinished-x1").mkdir()
    with serving(store.parents[1]):
        found = examined(store.parents[1])
    (told,) = found.told("warning", "store")
    assert told.startswith("its log has ")
    assert [text.partition(" is left from")[0] for text in found.told("note", "store")] == [
        str(store.parent / "copy.db.unfinished-x1"),
        str(store.parent / "watchword.db.key.new"),
    ]


@root_only
def test_files_that_belong_to_another_user_or_that_all_can_read(tmp_path: Path, store: Path) -> None:
    other = nobody()
    for path in (store.parent, *store.parent.iterdir()):
        os.chown(path, other.pw_uid, other.pw_gid)
    assert examined(tmp_path).told("ok", "files") == [
        "the store belongs to nobody, who can use all of its files, and nobody else can"
    ]
    key = beside(store, ".key")
    os.chown(key, 0, 0)
    assert examined(tmp_path).names("files", f"run as root: chown nobody {key}")
    os.chown(key, other.pw_uid, other.pw_gid)
    store.chmod(0o644)
    assert any(f"chmod 600 {store}" in text for text in examined(tmp_path).told("warning", "files"))
    store.chmod(0o600)
    store.parent.chmod(0o777)
    assert examined(tmp_path).names("files", f"chmod 700 {store.parent}")


def test_files_that_this_user_can_not_use(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As another user than root, whom nothing keeps from writing."""
    may, closed = os.access, {store}

    def access(path: str | Path, mode: int, **options: bool) -> bool:
        return may(path, mode, **options) and not (Path(path) in closed and mode & os.W_OK)

    monkeypatch.setattr(os, "access", access)
    monkeypatch.setattr("server.files.ownership._may", access)
    folder = store.parents[1]
    assert examined(folder).names("files", f"{store} can't be used by")
    closed.add(folder)
    found = examined(folder, WATCHWORD__STORE__URL="sqlite:///nowhere/else/watchword.db")
    assert found.names("store", f"no store can be made in {folder}")


@root_only
def test_a_folder_that_this_user_can_not_enter(open_folder: Path) -> None:
    """As a user who really is not root: the modules that it needs are there already."""
    shut = open_folder / "shut"
    shut.mkdir(mode=0o700)
    store, inside = open_folder / "watchword.db", shut / "data" / "watchword.db"
    examined(open_folder, WATCHWORD__STORE__URL=f"sqlite:///{store}")
    as_nobody = "import os, pwd\nfrom pathlib import Path\nfrom tests.doctor.examined import examined\n"
    as_nobody += f"folder = Path({str(open_folder)!r})\nexamined(folder)\nother = pwd.getpwnam('nobody')\n"
    as_nobody += "os.setgroups([])\nos.setgid(other.pw_gid)\nos.setuid(other.pw_uid)\n"
    as_nobody += f"found = examined(folder, WATCHWORD__STORE__URL='sqlite:///{inside}')\n"
    as_nobody += f"assert found.names('files', {str(shut)!r} + ' can\\'t be used by nobody'), found.findings\n"
    subprocess.run([sys.executable, "-c", as_nobody], cwd=ROOT, check=True)


def test_a_store_that_somebody_holds(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(condition, "_WAIT_SECONDS", 0.01)
    with beside(store, ".write-lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert examined(store.parents[1]).names("store", "another process holds a lock on the store")
    monkeypatch.setattr(condition, "LOCK_SECONDS", 0.01)
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert examined(store.parents[1]).names("store", "another process holds a lock on the store")


def test_secrets_in_files_that_all_can_read_or_change(tmp_path: Path) -> None:
    config, key = tmp_path / "config.toml", tmp_path / "key"
    config.write_text(f'[keys]\nmaster_key = "{MASTER_KEY}"\n')
    config.chmod(0o644)
    (told,) = examined(tmp_path).told("warning", "files")
    assert told.startswith(f"{config} holds keys.master_key, and everybody on this machine can read it")
    for mode in (0o640, 0o600):
        config.chmod(mode)
        assert examined(tmp_path).told("warning", "files") == []
    # As in the file that is shipped.
    config.write_text('[keys]\nmaster_key = ""\n[tokens]\nsecret = ""\n')
    config.chmod(0o644)
    assert examined(tmp_path).told("warning", "files") == []
    config.chmod(0o666)
    assert examined(tmp_path).names("files", f"everybody on this machine can change {config}")
    config.unlink()
    key.write_text(MASTER_KEY)
    key.chmod(0o444)
    (told,) = examined(tmp_path, WATCHWORD__KEYS__MASTER_KEY_FILE="key").told("warning", "files")
    assert told.startswith("key holds keys.master_key")


@pytest.mark.parametrize(("password", "found"), [("", []), (":hush", ["mail.url"])])
def test_the_url_of_a_mail_server_is_a_secret_if_it_has_a_password(
    tmp_path: Path, password: str, found: list[str]
) -> None:
    user = f"me{password}@" if password else ""
    config = tmp_path / "config.toml"
    config.write_text(f'[mail]\nurl = "smtp://{user}127.0.0.1:1"\nfrom = "auth@example.com"\n')
    config.chmod(0o644)
    told = examined(tmp_path, WATCHWORD__SERVER__PUBLIC_URL="http://localhost:8080").told("warning", "files")
    assert [text.split(" holds ")[1].split(",")[0] for text in told] == found


@pytest.mark.parametrize(("password", "found"), [("", []), (":hush", ["store.url", "store.listen_url"])])
def test_the_urls_of_a_database_are_secrets_if_they_have_a_password(
    tmp_path: Path, password: str, found: list[str]
) -> None:
    urls = {"url": f"postgresql://me{password}@127.0.0.1:1/a", "listen_url": f"postgresql://me{password}@127.0.0.1:1/b"}
    config = tmp_path / "config.toml"
    config.write_text("[store]\n" + "".join(f'{name} = "{url}"\n' for name, url in urls.items()))
    config.chmod(0o644)
    told = examined(tmp_path, WATCHWORD__KEYS__MASTER_KEY=MASTER_KEY).told("warning", "files")
    assert [text.split(" holds ")[1].split(",")[0] for text in told] == found


class _Another(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, *_: object) -> None:
        pass


def test_a_port_that_another_program_has(tmp_path: Path) -> None:
    other = HTTPServer(("127.0.0.1", free_port()), _Another)
    port = str(other.server_address[1])
    with listening(other):
        assert examined(tmp_path, WATCHWORD__SERVER__PORT=port).names("listener", "another program answers at")
    found = examined(tmp_path, WATCHWORD__SERVER__PORT=port)
    assert f"127.0.0.1 port {port} is free; no server runs there" in found.told("ok", "listener")


def test_a_port_of_a_program_that_speaks_another_language(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:

        def hang_up() -> None:
            taken.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        found = examined(tmp_path, WATCHWORD__SERVER__PORT=str(taken.getsockname()[1]))
        thread.join()
    assert found.names("listener", "Address already in use")


@pytest.mark.parametrize(("section", "topic"), [("SERVER", "listener"), ("METRICS", "metrics")])
def test_an_address_that_can_not_be_listened_on(tmp_path: Path, section: str, topic: str) -> None:
    name = f"WATCHWORD__{section}__"
    for host, told in (("192.0.2.1", "this machine has no such address"), ("nowhere.invalid", "write an address")):
        for port in ("1", "0") if section == "SERVER" else ("1",):
            changes = {f"{name}HOST": host, f"{name}PORT": port}
            assert examined(tmp_path, **changes).names(topic, told)


def test_a_port_of_the_metrics_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        taken.listen()

        def hang_up() -> None:
            taken.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        port = str(taken.getsockname()[1])
        found = examined(tmp_path, WATCHWORD__METRICS__PORT=port)
        thread.join()
    assert found.names("metrics", "another program has it: choose another port")
    found = examined(tmp_path, WATCHWORD__METRICS__PORT=port)
    assert found.told("ok", "metrics") == [f"127.0.0.1 port {port} is free; no server runs"]


def test_a_server_that_others_reach_without_tls(tmp_path: Path) -> None:
    changes = {"WATCHWORD__SERVER__HOST": "0.0.0.0"}  # noqa: S104 - looked at, not listened on
    (told,) = examined(tmp_path, **changes).told("warning", "listener")
    assert told.startswith("other machines can connect to 0.0.0.0, without TLS; listen on 127.0.0.1")
    behind = changes | {"WATCHWORD__SERVER__TRUSTED_PROXIES": "10.0.0.1"}
    assert examined(tmp_path, **behind).told("warning", "listener") == []


def test_a_server_that_is_not_ready(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        sql(tmp_path / "data" / "watchword.db", "DROP TABLE readiness")
        port = server.address.rpartition(":")[2]
        found = examined(tmp_path, WATCHWORD__SERVER__PORT=port)
    assert found.names("listener", "runs, and is not ready")


def logins(folder: Path, count: int, *addresses: str | None, trusted: str = "") -> None:
    """So many logins, each through a proxy that says it asks for one of the addresses."""
    with serving(folder, WATCHWORD__SERVER__TRUSTED_PROXIES=trusted) as server:
        make(folder, "lak")
        for number in range(count):
            address = addresses[number % len(addresses)]
            headers = {} if address is None else {"X-Forwarded-For": address}
            headers["Content-Type"] = "application/json"
            request = Request(f"{server.address}/login", BODY, headers)  # noqa: S310 - our own http:// address
            with urlopen(request) as answer:  # noqa: S310
                assert answer.status == 200


def test_a_proxy_that_is_not_trusted(tmp_path: Path) -> None:
    logins(tmp_path, 6, "203.0.113.7", "203.0.113.8")
    (told,) = examined(tmp_path).told("warning", "proxies")
    assert told.startswith("the last 6 logins came from 127.0.0.1: if that is a proxy, it is not trusted")
    assert told.endswith('server.trusted_proxies = ["127.0.0.1"]')


def test_a_trusted_proxy_that_does_not_say_for_whom_it_asks(tmp_path: Path) -> None:
    logins(tmp_path, 6, None, trusted="127.0.0.1")
    (told,) = examined(tmp_path, WATCHWORD__SERVER__TRUSTED_PROXIES="127.0.0.1").told("warning", "proxies")
    assert told.startswith("the last 6 logins came from 127.0.0.1 itself, a trusted proxy")


def test_proxies_that_are_as_the_settings_say(tmp_path: Path) -> None:
    logins(tmp_path, 6, "203.0.113.7", "203.0.113.8", trusted="127.0.0.1")
    found = examined(tmp_path, WATCHWORD__SERVER__TRUSTED_PROXIES="127.0.0.1")
    assert found.told("ok", "proxies") == ["the last 6 logins came from 2 addresses"]


def test_few_logins_from_here_prove_nothing(tmp_path: Path) -> None:
    logins(tmp_path, 2, None)
    assert examined(tmp_path).levels("proxies") == {"note"}


def test_an_issuer_that_leads_elsewhere_or_nowhere(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        found = examined(tmp_path, WATCHWORD__TOKENS__ISSUER=server.address)
        assert found.told("ok", "address") == [f"{server.address}/.well-known/jwks.json has the keys of this store"]
        (tmp_path / "other").mkdir()
        with serving(tmp_path / "other") as other:
            found = examined(tmp_path, WATCHWORD__TOKENS__ISSUER=other.address + "/")
        assert found.names("address", "has none of the keys of this store")
    (told,) = examined(tmp_path, WATCHWORD__TOKENS__ISSUER=other.address).told("warning", "address")
    assert "can't be fetched from here (Connection refused)" in told
    assert len(examined(tmp_path, WATCHWORD__TOKENS__ISSUER="https://[").told("warning", "address")) == 1


def test_metrics_that_another_program_has_that_nobody_serves_or_that_all_can_read(tmp_path: Path) -> None:
    other = HTTPServer(("127.0.0.1", free_port()), _Another)
    other.RequestHandlerClass = type("Refusing", (_Another,), {"do_GET": lambda self: self.send_error(404)})
    port = str(other.server_address[1])
    with listening(other):
        assert examined(tmp_path, WATCHWORD__METRICS__PORT=port).names("metrics", "another program answers at")
    found = examined(tmp_path, WATCHWORD__METRICS__PORT=port, WATCHWORD__METRICS__HOST="0.0.0.0")  # noqa: S104
    assert found.levels("metrics") == {"ok", "warning"}
    assert examined(tmp_path).told("ok", "metrics") == ["metrics.port is 0: there are none"]
    with serving(tmp_path) as server:
        changes = {"WATCHWORD__SERVER__PORT": server.address.rpartition(":")[2], "WATCHWORD__METRICS__PORT": port}
        assert examined(tmp_path, **changes).names("metrics", "the server runs, and its metrics do not answer")


def test_a_store_that_was_moved(store: Path) -> None:
    folder = store.parents[1]
    assert run(folder, "store", "move", "--to", "sqlite:///new/watchword.db").returncode == 0
    found = examined(folder)
    assert found.names("store", f"this store was moved to {folder}/new/watchword.db at ")
