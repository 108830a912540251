"""The end by force, in a process of its own: it would end this one."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from server.cli.signals import END_SECONDS, LOG_SECONDS, PARENT_END_SECONDS, signal_name
from tests.environment import ROOT

STUCK = """
import signal, threading
from server.cli.signals import ServerSignals
signals = ServerSignals()
signals.start()
signals.seconds = {seconds}
signals.drain = lambda seconds: print("drained", flush=True)
signals.tell_unused = lambda name: print(name, flush=True)
def end(): print("asked", flush=True)
with signals.calling(end):
    print("ready", flush=True)
    # As one does that waits for a name server.
    threading.Event().wait()
"""
IDLE = """
import threading
from server.cli.signals import ServerSignals
ServerSignals().start()
print("ready", flush=True)
threading.Event().wait()
"""


HANGUP = """
import signal, threading
from server.cli.signals import ServerSignals
{before}
signals = ServerSignals()
signals.start()
signals.tell_unused = lambda name: print(name, flush=True)
print("ready", flush=True)
while not signals.hangup_waits: pass
signals.on_hangup(lambda: print("reload", flush=True))
threading.Event().wait()
"""

POSTPONING = """
import signal, threading
from server.cli.signals import CommandSignals
signals = CommandSignals()
signals.start()
told = threading.Event()
interrupt = signals._interrupt
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *them: (interrupt(*them), print("told", flush=True), told.set()))
with signals.postponed():
    print("ready", flush=True)
    while {wait}: pass
print("done", signals.interrupted, flush=True)
"""


def outcome(script: str, *numbers: signal.Signals) -> tuple[int, list[str]]:
    """The exit code after these signals, and what was printed. Each is sent when the one before was answered by a line.

    Only a SIGINT that is not the first to end has no answer: it is taken before a SIGUSR1 that comes right behind it.
    """
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        printed = []
        for number in numbers[:-1]:
            process.send_signal(number)
            if not (number == signal.SIGINT and "asked" in printed):
                printed.append(process.stdout.readline().strip())
        process.send_signal(numbers[-1])
        printed += process.stdout.read().split("\n")[:-1]
        return process.wait(30), printed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_what_does_not_end_in_time_is_ended_with_exit_code_0(number: signal.Signals) -> None:
    assert outcome(STUCK.format(seconds=0.1), number) == (0, ["asked", "drained"])


def test_a_second_ctrl_c_ends_at_once_and_any_other_second_signal_does_not() -> None:
    printed = ["SIGUSR2", "asked", "SIGUSR1", "drained"]
    twice = (signal.SIGUSR2, signal.SIGINT, signal.SIGUSR1, signal.SIGINT)
    assert outcome(STUCK.format(seconds=60), *twice) == (130, printed)
    # Ctrl-C reaches a worker twice: from the terminal, and as its parent's SIGTERM.
    both = (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT, signal.SIGUSR1, signal.SIGINT)
    assert outcome(STUCK.format(seconds=60), *both) == (130, ["asked", "SIGUSR2", "SIGUSR1", "drained"])


def test_where_nothing_is_open_the_end_is_at_once() -> None:
    assert outcome(IDLE, signal.SIGTERM) == (0, [])


@pytest.mark.parametrize("before", ["", "signal.signal(signal.SIGHUP, signal.SIG_IGN)"], ids=["usual", "nohup"])
def test_a_hangup_before_somebody_can_reload_is_not_lost(before: str) -> None:
    numbers = (signal.SIGHUP, signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM)
    assert outcome(HANGUP.format(before=before), *numbers) == (0, ["reload", "reload", "SIGUSR1"])


def test_the_end_takes_less_than_ten_seconds() -> None:
    assert max(END_SECONDS, PARENT_END_SECONDS) + LOG_SECONDS < 10


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("arguments", [["completion", "bash"], ["nonsense"]])
def test_a_signal_after_a_command_is_done_does_not_change_its_exit_code(
    number: signal.Signals, arguments: list[str]
) -> None:
    """It would be a KeyboardInterrupt that nobody catches, with a traceback, and Python would end by a signal."""
    script = (
        "import gc, os, sys\n"
        "from server.cli import main\n"
        "freeze = gc.freeze\n"
        "def interrupted():\n"
        f"    if sys._getframe(1).f_code.co_name == 'main': os.kill(os.getpid(), {int(number)})\n"
        "    freeze()\n"
        "gc.freeze = interrupted\n"
        "main()\n"
    )
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (2 if arguments == ["nonsense"] else 0, False), done


@pytest.mark.parametrize(
    ("number", "name"),
    [(9, "SIGKILL"), (signal.SIGRTMIN, "SIGRTMIN"), (signal.SIGRTMIN + 1, "signal 35"), (63, "signal 63")],
)
def test_each_signal_has_a_name(number: int, name: str) -> None:
    assert signal_name(number) == name


def test_a_step_that_must_be_done_whole_is_ended_by_no_first_signal() -> None:
    printed = outcome(POSTPONING.format(wait="not told.is_set()"), signal.SIGTERM)
    assert printed == (0, ["told", "done False"])
    assert outcome(POSTPONING.format(wait="True"), signal.SIGTERM, signal.SIGINT) == (130, ["told"])


WORKING = """
import asyncio, os, signal
from server.cli.context import run_async
from server.cli.signals import CommandSignals
signals = CommandSignals()
signals.start()
def send():
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(1000): pass
    print("whole", flush=True)
async def wait():
    await asyncio.Event().wait()
async def work():
    try:
        {work}
    finally:
        print("undone", flush=True)
try:
    run_async(work())
    print("done", flush=True)
except KeyboardInterrupt:
    os._exit(signals.code)
"""


@pytest.mark.parametrize(
    ("work", "printed"),
    [
        # As a driver in C is called, which a KeyboardInterrupt could leave with half a message.
        ("asyncio.get_running_loop().call_soon(send); await wait()", "whole undone"),
        ("asyncio.create_task(wait()); send(); await wait()", "whole undone"),
        # What holds the loop up is interrupted all the same.
        ("send(); os.read(os.pipe()[0], 1)", "whole undone"),
        # At the last moment.
        ("send()", "whole undone"),
    ],
)
def test_a_signal_cancels_the_work_of_a_command_and_interrupts_nothing_that_its_loop_calls(
    work: str, printed: str
) -> None:
    script = WORKING.format(work=work)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split(), done.stderr) == (143, printed.split(), "")
