"""The TLS of connections to PostgreSQL, by the parameters of the URL."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from server.core.errors import StoreRefused

_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SSL_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")


def tls_of(url: str, setting: str) -> ssl.SSLContext | None:
    """The system's certificate authorities for sslmode=verify-full without sslrootcert; None: asyncpg reads the URL.

    Raises StoreRefused, whose message names the setting with the URL.
    """
    options = {name: values[-1] for name, values in parse_qs(urlsplit(url).query).items()}
    mode = options.get("sslmode") or os.environ.get("PGSSLMODE") or None
    if mode not in (None, *_SSL_MODES):
        raise StoreRefused(f"sslmode in {setting} is none of: {', '.join(_SSL_MODES)}")
    files = {name: options.get(name) or os.environ.get(f"PG{name.upper()}") or None for name in _SSL_FILES}
    for name, path in files.items():
        if path is not None and path != "system" and not Path(path).is_file():
            raise StoreRefused(f"{name} in {setting}: {path} is not there, or can't be read")
    roots = files["sslrootcert"]
    if roots == "system":
        if mode not in (None, "verify-full"):
            # A public authority gives a certificate to anybody, so the host name has to be checked too.
            raise StoreRefused(f"sslrootcert=system in {setting} needs sslmode=verify-full")
    elif roots is not None or mode != "verify-full" or Path(os.path.expanduser("~/.postgresql/root.crt")).exists():  # noqa: PTH111
        return None
    context = ssl.create_default_context()
    context.set_alpn_protocols(["postgresql"])
    if certificate := files["sslcert"]:
        context.load_cert_chain(certificate, files["sslkey"], lambda: options.get("sslpassword", ""))
    return context
