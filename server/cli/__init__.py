"""The command line. Commands are thin: they call the same services as HTTP does.

Exit codes: 0 done, 1 refused or failed, 2 usage or configuration, 130 ended by Ctrl-C.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path
from typing import NoReturn

from server.errors import ApiError, ConfigurationError, FileRefused, StoreRefused, StoreUnavailable, WatchwordError

# What standard output answers to a write when it can take no more. Files that a command opens are told by their name.
_OUTPUT_IS_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def main() -> NoReturn:
    """Run a command and exit. Expected failures are a line each on standard error, never a traceback."""
    try:
        _prepare_output()
        code = _run()
        # Here, where it can still be told that it failed.
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does.
        code = 1
        _discard_output()
    except OSError as error:
        if error.errno not in _OUTPUT_IS_FULL or error.filename is not None:
            raise
        print(f"output: it can't be written ({error.strerror})", file=sys.stderr)
        code = 1
        _discard_output()
    sys.exit(code)


def _run() -> int:
    """A command; its exit code."""
    # typer and rich are slow to import; errors below need neither.
    from server.cli.commands import app  # noqa: PLC0415
    from server.cli.text import program, visible  # noqa: PLC0415

    try:
        app(prog_name=program())
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    except ConfigurationError as error:
        for problem in error.problems:
            print(f"config: {visible(problem)}", file=sys.stderr)
        return 2
    except StoreRefused as error:
        print(f"store: {visible(str(error))}", file=sys.stderr)
    except FileRefused as error:
        print(f"file: {visible(str(error))}", file=sys.stderr)
    except ApiError as error:
        reason = f" ({error.reason})" if isinstance(error, StoreUnavailable) and error.reason else ""
        print(f"{error.code}: {visible(error.detail + reason)}", file=sys.stderr)
        for part in error.members.get("errors", []):
            print(f"  {part['field']}: {part['message']}", file=sys.stderr)
    except WatchwordError as error:
        print(visible(str(error)), file=sys.stderr)
    return 1


def _prepare_output() -> None:
    """A character that standard output has not is written as its number; if it is closed, nothing is written."""
    if sys.stdout is None:
        # Else the next file that is opened, such as the store's, would get the descriptor of standard output.
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open to the end
    elif isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    """What is left in the buffer goes nowhere: the interpreter would try again at its end, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
