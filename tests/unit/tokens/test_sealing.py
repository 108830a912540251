from __future__ import annotations

import base64
import os
import random
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from server.clock import SystemClock
from server.errors import StoreRefused
from server.ids import Ids, SystemRandomness
from server.tokens.sealing import MasterKey, _make, load_or_make_master_key_file

IDS = Ids(SystemClock(), SystemRandomness())
MASTER = MasterKey("a master key of enough characters", IDS)
SEALED = MASTER.seal(b"a private key", "kid 1")
ROOT = Path(__file__).parents[3]
PRINT_KEY = """
import pathlib, sys
from server.clock import SystemClock
from server.ids import Ids, SystemRandomness
from server.tokens.sealing import load_or_make_master_key_file
print(load_or_make_master_key_file(pathlib.Path(sys.argv[1]), Ids(SystemClock(), SystemRandomness())), end="")
"""


@pytest.mark.parametrize("plaintext", [b"", b"a private key", bytes(range(256)) * 10])
def test_what_was_sealed_is_unsealed(plaintext: bytes) -> None:
    sealed = MASTER.seal(plaintext, "kid 1")
    assert MASTER.unseal(sealed, "kid 1") == plaintext
    assert MasterKey("a master key of enough characters", IDS).unseal(sealed, "kid 1") == plaintext


def test_sealing_twice_gives_two_texts_that_do_not_show_the_content() -> None:
    first, second = MASTER.seal(b"a private key", "kid 1"), MASTER.seal(b"a private key", "kid 1")
    assert first[1:13] != second[1:13]
    assert first[13:] != second[13:]
    assert b"a private key" not in first


@pytest.mark.parametrize("text", ["a master key of enough characterz", "", "A master key of enough characters"])
def test_another_master_key_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(StoreRefused, match=r"keys\.master_key"):
        MasterKey(text, IDS).unseal(SEALED, "kid 1")


@pytest.mark.parametrize("context", ["kid 2", "", "kid 1 "])
def test_what_was_sealed_for_one_place_does_not_open_in_another(context: str) -> None:
    with pytest.raises(StoreRefused):
        MASTER.unseal(SEALED, context)


@pytest.mark.parametrize("place", range(len(SEALED)))
def test_a_change_of_any_byte_is_noticed(place: int) -> None:
    bit = 1 << random.Random(place).randrange(8)
    altered = bytes(byte ^ bit if at == place else byte for at, byte in enumerate(SEALED))
    with pytest.raises(StoreRefused):
        MASTER.unseal(altered, "kid 1")


@pytest.mark.parametrize("length", range(len(SEALED)))
def test_what_was_cut_off_is_refused(length: int) -> None:
    with pytest.raises(StoreRefused):
        MASTER.unseal(SEALED[:length], "kid 1")


def test_each_purpose_has_a_key_of_its_own_that_stays_the_same() -> None:
    again = MasterKey("a master key of enough characters", IDS)
    purposes = ("refresh tokens", "reset tokens", "seal private keys")
    assert [MASTER.derive(purpose) for purpose in purposes] == [again.derive(purpose) for purpose in purposes]
    others = [MasterKey("another master key, as long as it", IDS).derive(purpose) for purpose in purposes]
    assert len({*others, *(MASTER.derive(purpose) for purpose in purposes)}) == 6
    assert [len(MASTER.derive("x")), len(MASTER.derive("x", 64))] == [32, 64]


def test_the_file_is_made_once_for_its_owner_alone_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "watchword.key"
    made = load_or_make_master_key_file(path, IDS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(base64.b64decode(made, validate=True)) == 32
    assert load_or_make_master_key_file(path, IDS) == made
    assert [entry.name for entry in tmp_path.iterdir()] == ["watchword.key"]
    assert load_or_make_master_key_file(tmp_path / "another.key", IDS) != made


def test_the_file_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        load_or_make_master_key_file(tmp_path / "watchword.key", IDS)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "watchword.key").stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610, 0o601])
def test_a_file_that_others_can_open_is_refused_with_a_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "watchword.key"
    load_or_make_master_key_file(path, IDS)
    path.chmod(mode)
    with pytest.raises(StoreRefused, match="chmod 600"):
        load_or_make_master_key_file(path, IDS)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"short", b"x" * 31, b" " * 100, b"\xff" * 64])
def test_a_file_that_holds_no_key_is_refused_and_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "watchword.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(StoreRefused, match="backup"):
        load_or_make_master_key_file(path, IDS)
    assert path.read_bytes() == content


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "watchword.key"
    path.mkdir(mode=0o700)
    with pytest.raises(StoreRefused, match="backup"):
        load_or_make_master_key_file(path, IDS)


def test_a_key_of_an_operators_own_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "watchword.key"
    path.write_text("\n  an operator's own key of 32 characters \n")
    path.chmod(0o600)
    assert load_or_make_master_key_file(path, IDS) == "an operator's own key of 32 characters"


def test_a_process_that_was_faster_wins(tmp_path: Path) -> None:
    path = tmp_path / "watchword.key"
    made = load_or_make_master_key_file(path, IDS)
    _make(path, tmp_path / "draft", b"what a slower process would have written\n")
    assert load_or_make_master_key_file(path, IDS) == made
    assert [entry.name for entry in tmp_path.iterdir()] == ["watchword.key"]


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PRINT_KEY, str(tmp_path / "watchword.key")]
    started = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(4)]
    answers = {process.communicate(timeout=60)[0] for process in started}
    assert [process.returncode for process in started] == [0, 0, 0, 0]
    assert answers == {load_or_make_master_key_file(tmp_path / "watchword.key", IDS).encode()}


def test_the_draft_of_a_process_that_died_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "watchword.key"
    path.with_name(f"{path.name}.{os.getpid()}").write_bytes(b"half a k")
    assert len(load_or_make_master_key_file(path, IDS)) == 44
