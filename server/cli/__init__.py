"""The command line. Commands are thin: they call the same services as HTTP does.

Exit codes: 0 done, 1 refused or failed, 2 usage or configuration.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from server.errors import ApiError, ConfigurationError, FileRefused, StoreRefused, WatchwordError


def main() -> NoReturn:
    """Run a command and exit. Expected failures are a line each on standard error, never a traceback."""
    from server.cli.commands import app  # noqa: PLC0415 - typer and rich are slow to import; errors below need neither

    try:
        app(prog_name="python -m server")
    except ConfigurationError as error:
        for problem in error.problems:
            print(f"config: {problem}", file=sys.stderr)
        sys.exit(2)
    except StoreRefused as error:
        print(f"store: {error}", file=sys.stderr)
        sys.exit(1)
    except FileRefused as error:
        print(f"file: {error}", file=sys.stderr)
        sys.exit(1)
    except ApiError as error:
        print(f"{error.code}: {error.detail}", file=sys.stderr)
        for part in error.members.get("errors", []):
            print(f"  {part['field']}: {part['message']}", file=sys.stderr)
        sys.exit(1)
    except WatchwordError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does.
        sys.stderr.close()
        sys.exit(1)
    sys.exit(0)
