"""The command line. Commands are thin: they call the same services as HTTP does.

Exit codes: 0 done, 1 refused or failed, 2 usage or configuration. An interrupted command exits with 130 (Ctrl-C), 143
(SIGTERM) or 129 (SIGHUP). A server that is asked to end exits with 0.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from server.cli.signals import CommandSignals, ServerSignals

# The script of `completion` sets it.
COMPLETION = "_WATCHWORD_COMPLETE"


def main() -> NoReturn:
    """Run a command and exit. An expected failure is one line on standard error, never a traceback."""
    signals = ServerSignals() if _serves(sys.argv[1:]) else CommandSignals()
    try:
        # This comes first: process 1 of a container loses signals that arrive before it.
        signals.start()
        code = _main(signals)
        signals.finish()
    except KeyboardInterrupt:
        code = signals.code
    if signals.interrupted:
        # If the KeyboardInterrupt has passed an exec(), as in the import of a dataclass, CPython takes it for unhandled
        # for ever, and would end by SIGINT whatever the code is.
        os._exit(code)
    # The process ends now and frees its memory. A last garbage collection would take a sixth of a command's time.
    gc.freeze()
    sys.exit(code)


def _serves(arguments: Sequence[str]) -> bool:
    """Whether the command is `serve`, which is also the default. This does not use typer, which is slow to import."""
    if COMPLETION in os.environ:
        # A shell asks what a command could be completed to.
        return False
    rest = iter(arguments)
    for argument in rest:
        if argument == "--config":
            next(rest, None)
        elif not argument.startswith("-"):
            return argument == "serve"
    return True


def _main(signals: ServerSignals | CommandSignals) -> int:
    from server.cli import streams  # noqa: PLC0415 - only now, see above

    streams.hold_standard_streams()
    output_failed = True
    try:
        code = _run(signals)
        # Flush here, where a failure can still be reported.
        sys.stdout.flush()
        output_failed = False
    except KeyboardInterrupt:
        code = signals.code
    except BrokenPipeError:
        # The reader of our output has closed the pipe, as `head` does.
        code = 1
    except OSError as error:
        if error.errno in streams.NO_DESCRIPTOR:
            streams.tell(
                f"limits: {error.strerror}; raise the limit of open files (ulimit -n, LimitNOFILE= of systemd)"
            )
            return 1
        # An error with a file name is about a file that the command has opened, not about standard output.
        if error.errno not in streams.OUTPUT_FAILURES or error.filename is not None:
            raise
        streams.tell(f"output: it can't be written ({error.strerror})")
        code = 1
    if signals.interrupted:
        # The exit code is the signal's, whatever the command made of it: at a prompt, typer says "Aborted!".
        code, output_failed = signals.code, True
    if isinstance(signals, CommandSignals):
        streams.end_output(discard=output_failed)
    return code


def _run(signals: ServerSignals | CommandSignals) -> int:
    """Run a command. Returns its exit code."""
    # typer and rich are slow to import, and the errors below need neither. Imports leave no garbage to collect.
    gc.disable()
    if isinstance(signals, ServerSignals) and "--help" not in sys.argv:
        from server.cli.light import import_lightly  # noqa: PLC0415

        import_lightly()
    from server.cli.commands import app  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    from server.cli.streams import tell  # noqa: PLC0415
    from server.cli.tables import program, visible  # noqa: PLC0415
    from server.core.errors import (  # noqa: PLC0415
        ApiError,
        ConfigurationError,
        FileRefused,
        StoreRefused,
        StoreUnavailable,
        WatchwordError,
    )

    if COMPLETION in os.environ:
        from server.cli.completion import prepare_answer  # noqa: PLC0415

        prepare_answer()
    try:
        app(prog_name=program(), obj=signals)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    except ConfigurationError as error:
        tell(*(f"config: {visible(problem)}" for problem in error.problems))
        return 2
    except StoreRefused as error:
        tell(f"store: {visible(str(error))}")
    except FileRefused as error:
        tell(f"file: {visible(str(error))}")
    except ApiError as error:
        reason = f" ({error.reason})" if isinstance(error, StoreUnavailable) and error.reason else ""
        tell(f"{error.code}: {visible(error.detail + reason)}")
        tell(*(f"  {part['field']}: {part['message']}" for part in error.members.get("errors", [])))
    except WatchwordError as error:
        tell(visible(str(error)))
    return 1
