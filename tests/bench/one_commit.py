"""`python -m server`, but each write is a commit of its own: what the refresh benchmark is compared with."""

from __future__ import annotations

from server.cli import main
from server.database.sqlite import group_writer

if __name__ == "__main__":
    group_writer.GROUP_LIMIT = 1
    main()
