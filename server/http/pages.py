"""Each page is one HTML document with inline style and scripts, and a policy that allows only these.

The style and the scripts are files in the same folder. They replace the elements of the HTML that name them.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files

_LINKED_STYLE = re.compile(r'<link rel="stylesheet" href="([a-z]+\.css)">')
_LINKED_SCRIPT = re.compile(r'<script src="([a-z]+\.js)"></script>')
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Page:
    """A page and the header fields that go with it."""

    body: bytes
    headers: dict[str, str]


def load_page(package: str, name: str) -> Page:
    """The page of that HTML file in a package, with its style and scripts inline."""
    text = _LINKED_STYLE.sub(lambda link: f"<style>\n{_read(package, link[1])}</style>", _read(package, name))
    text = _LINKED_SCRIPT.sub(lambda link: f"<script>\n{_read(package, link[1])}</script>", text)
    # The page may load its icon and send requests to this server only.
    page = page_of(text, "img-src data:", "connect-src 'self'")
    page.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    return page


def page_of(html: str, *directives: str) -> Page:
    """The page of a complete document.

    Its policy (Content Security Policy Level 3) allows the inline style and scripts of the document by their digests,
    and additionally what `directives` allow.
    """
    scripts = _digests(_SCRIPT, html)
    policy = [
        "default-src 'none'",
        "style-src " + (_digests(_STYLE, html) or "'none'"),
        *([f"script-src {scripts}"] if scripts else []),
        *directives,
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # Trusted Types: scripts can't turn text into markup or code.
        *(["require-trusted-types-for 'script'", "trusted-types 'none'"] if scripts else []),
    ]
    headers = {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": "; ".join(policy),
        "Referrer-Policy": "no-referrer",
    }
    return Page(html.encode("utf-8"), headers)


def _read(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text("utf-8")


def _digests(element: re.Pattern[str], text: str) -> str:
    found = [base64.b64encode(hashlib.sha256(part.encode("utf-8")).digest()) for part in element.findall(text)]
    return " ".join(f"'sha256-{digest.decode('ascii')}'" for digest in found)
