"""`python -m server` where the system grants few descriptors: 32, or 128 to who asks."""

from __future__ import annotations

import resource

from server.cli import main

GRANTED = 128

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, GRANTED))
    main()
