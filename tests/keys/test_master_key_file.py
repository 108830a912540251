from __future__ import annotations

import base64
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from server.core.clock import SystemClock
from server.core.errors import StoreRefused
from server.core.ids import Ids, SystemRandomness
from server.keys.master_key_file import MasterKeyFile

IDS = Ids(SystemClock(), SystemRandomness())
ROOT = Path(__file__).parents[2]
PRINT_KEY = """
import pathlib, sys
from server.core.clock import SystemClock
from server.core.ids import Ids, SystemRandomness
from server.keys.master_key_file import MasterKeyFile
file = MasterKeyFile(pathlib.Path(sys.argv[1]), Ids(SystemClock(), SystemRandomness()))
file.make()
print(file.read()[0], end="")
"""


def made(file: MasterKeyFile) -> list[str]:
    """As at the first start."""
    file.make()
    return file.read()


def test_the_file_is_made_once_for_its_owner_alone_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "watchword.key"
    first = made(MasterKeyFile(path, IDS))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [len(base64.b64decode(key, validate=True)) for key in first] == [32]
    assert made(MasterKeyFile(path, IDS)) == first
    assert {entry.name for entry in tmp_path.iterdir()} == {"watchword.key", "watchword.key.lock"}
    assert made(MasterKeyFile(tmp_path / "another.key", IDS)) != first


def test_a_missing_file_is_named_and_not_made_by_reading(tmp_path: Path) -> None:
    path = tmp_path / "watchword.key"
    with pytest.raises(StoreRefused, match=r"watchword\.key is missing.*backup"):
        MasterKeyFile(path, IDS).read()
    with pytest.raises(StoreRefused, match="is missing"), MasterKeyFile(path, IDS).changing():
        pass
    assert not path.exists()


def test_the_file_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made(MasterKeyFile(tmp_path / "watchword.key", IDS))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "watchword.key").stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610, 0o601])
def test_a_file_that_others_can_open_is_refused_with_a_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "watchword.key"
    made(MasterKeyFile(path, IDS))
    path.chmod(mode)
    with pytest.raises(StoreRefused, match="chmod 600"):
        made(MasterKeyFile(path, IDS))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"short", b"x" * 31, b" " * 100, b"\xff" * 64])
def test_a_file_that_holds_no_key_is_refused_and_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "watchword.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(StoreRefused, match="backup"):
        made(MasterKeyFile(path, IDS))
    assert path.read_bytes() == content


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "watchword.key"
    path.mkdir(mode=0o700)
    with pytest.raises(StoreRefused, match="backup"):
        made(MasterKeyFile(path, IDS))


def test_a_key_of_an_operators_own_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "watchword.key"
    path.write_text("\n  an operator's own key of 32 characters \n")
    path.chmod(0o600)
    assert made(MasterKeyFile(path, IDS)) == ["an operator's own key of 32 characters"]


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PRINT_KEY, str(tmp_path / "watchword.key")]
    started = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(4)]
    answers = {process.communicate(timeout=60)[0] for process in started}
    assert [process.returncode for process in started] == [0, 0, 0, 0]
    assert answers == {made(MasterKeyFile(tmp_path / "watchword.key", IDS))[0].encode()}


def test_the_draft_of_a_process_that_died_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "watchword.key"
    path.with_name(f"{path.name}.new").write_bytes(b"half a k")
    assert [len(key) for key in made(MasterKeyFile(path, IDS))] == [44]
    assert {entry.name for entry in tmp_path.iterdir()} == {path.name, f"{path.name}.lock"}


def test_while_it_is_changed_the_new_key_stands_before_the_old_one_and_then_alone(tmp_path: Path) -> None:
    file = MasterKeyFile(tmp_path / "watchword.key", IDS)
    (old,) = made(file)
    with file.changing():
        new, also_old = file.read()
    assert also_old == old != new
    assert file.read() == [new]
    assert stat.S_IMODE((tmp_path / "watchword.key").stat().st_mode) == 0o600


def test_a_change_that_fails_on_the_way_leaves_both_keys(tmp_path: Path) -> None:
    file = MasterKeyFile(tmp_path / "watchword.key", IDS)
    (old,) = made(file)
    with pytest.raises(RuntimeError, match="on the way"), file.changing():
        raise RuntimeError("on the way")
    new, also_old = file.read()
    assert also_old == old
    with file.changing():
        assert file.read()[1:] == [new, old]
    assert len(file.read()) == 1


def test_two_changes_at_once_do_not_mix(tmp_path: Path) -> None:
    file = MasterKeyFile(tmp_path / "watchword.key", IDS)
    made(file)
    with file.changing():
        during = file.read()
        with pytest.raises(StoreRefused, match="another process"), MasterKeyFile(file._path, IDS).changing():
            pass
        assert file.read() == during
    assert file.read() == during[:1]
