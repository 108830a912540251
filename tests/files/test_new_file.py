from __future__ import annotations

import errno
import stat
from pathlib import Path

import pytest

from server.core.errors import FileRefused
from server.files.new_file import new_file


def test_a_new_file_is_whole_and_for_its_owner_alone(tmp_path: Path) -> None:
    with new_file(tmp_path / "new") as file:
        file.write(b"content")
        assert not (tmp_path / "new").exists()
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["new"]
    assert (tmp_path / "new").read_bytes() == b"content"


def test_nothing_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    for name in ("mine", "link", "."):
        with pytest.raises(FileRefused, match="is there already"), new_file(tmp_path / name):
            pass
    assert (tmp_path / "mine").read_bytes() == b"mine"


@pytest.mark.parametrize("failure", [ValueError("defect"), KeyboardInterrupt()])
def test_whatever_goes_wrong_meanwhile_leaves_no_file(tmp_path: Path, failure: BaseException) -> None:
    with pytest.raises(type(failure)), new_file(tmp_path / "new"):
        raise failure
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="can't be written"), new_file(tmp_path / "new"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="No such file or directory"), new_file(tmp_path / "nowhere" / "new"):
        pass
