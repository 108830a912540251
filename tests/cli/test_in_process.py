"""A command that is run in the process of the tests leaves it as it was."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from pathlib import Path

import pytest
import structlog

from tests.in_process import run


def state() -> list[object]:
    return [
        Path.cwd(),
        dict(os.environ),
        (sys.argv, sys.stdin, sys.stdout, sys.stderr, sys.excepthook, sys.unraisablehook),
        [signal.getsignal(number) for number in signal.valid_signals()],
        signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        (logging.getLogger().handlers[:], logging.getLogger().level, structlog.is_configured(), structlog.get_config()),
        (gc.isenabled(), gc.get_threshold()),
    ]


@pytest.mark.parametrize(
    ("arguments", "code"), [(("migrate",), 0), (("users", "list"), 1), (("--help",), 0), (("nonsense",), 2)]
)
def test_a_command_leaves_the_process_as_it_was(tmp_path: Path, arguments: tuple[str, ...], code: int) -> None:
    before, frozen = state(), gc.get_freeze_count()
    assert run(tmp_path, *arguments, WATCHWORD__LOGS__LEVEL="error").returncode == code
    assert state() == before
    assert gc.get_freeze_count() <= frozen
