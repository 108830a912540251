from __future__ import annotations

import io
import logging

import pytest
import structlog

from server.logs.output import configure_logs
from server.logs.stream import SteadyStream
from server.settings.tree import LogSettings


class Broken(io.StringIO):
    """A pipe whose reader is gone, or a disk that is full."""

    def __init__(self, failure: Exception) -> None:
        super().__init__()
        self.failure = failure
        self.asked = 0

    def write(self, _: str) -> int:
        self.asked += 1
        raise self.failure

    def flush(self) -> None:
        self.asked += 1
        raise self.failure


FAILURES = [BrokenPipeError(), OSError(28, "No space left on device"), ValueError("I/O operation on closed file")]


@pytest.mark.parametrize("failure", FAILURES)
def test_what_can_not_be_written_is_swallowed(failure: Exception) -> None:
    broken = Broken(failure)
    steady = SteadyStream(broken)
    assert steady.write("a line\n") == 7
    steady.flush()
    assert broken.asked == 2
    assert not steady.isatty()


@pytest.mark.parametrize("failure", FAILURES)
def test_a_log_that_fails_harms_nobody(failure: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    broken = Broken(failure)
    configure_logs(LogSettings(format="json"), broken)
    structlog.get_logger("watchword").warning("one")
    logging.getLogger("aiohttp.server").warning("two")
    assert broken.asked >= 2
    # Nor does the standard library complain on stderr, as it does about a handler that raises.
    assert capsys.readouterr().err == ""


def test_what_can_be_written_is() -> None:
    stream = io.StringIO()
    steady = SteadyStream(stream)
    steady.write("a line\n")
    steady.flush()
    assert stream.getvalue() == "a line\n"
