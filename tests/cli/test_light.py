from __future__ import annotations

import json
import ssl
import subprocess
import sys

_SCRIPT = """
import json, os, ssl, sys
from server.cli.light import import_lightly
before = os.environ.get("SSL_CERT_FILE")
import_lightly()
from aiohttp import connector
light = connector._SSL_CONTEXT_VERIFIED.cert_store_stats()["x509_ca"]
loaded = "rich" in sys.modules
import rich.console, structlog
later = ssl.create_default_context().cert_store_stats()["x509_ca"]
print(json.dumps([light, later, loaded, os.environ.get("SSL_CERT_FILE") == before]))
"""


def test_a_server_imports_neither_rich_nor_the_authorities_of_a_client_that_it_does_not_use() -> None:
    printed = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True).stdout
    light, later, rich_was_loaded, restored = json.loads(printed)
    assert light == 0
    assert not rich_was_loaded
    # What is made later, for mails, knows the authorities, and commands have rich.
    assert later == ssl.create_default_context().cert_store_stats()["x509_ca"]
    assert restored


def test_a_server_that_runs_has_not_loaded_rich_by_another_way() -> None:
    script = (
        "import sys\n"
        "from server.cli.light import import_lightly\n"
        "import_lightly()\n"
        "import server.cli.serve\n"
        "print([name for name in ('rich', 'pygments') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
