"""Each page is one HTML file with its style and script inside, and a policy that allows these two and nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files

_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Page:
    """A page and the header fields that go with it."""

    body: bytes
    headers: dict[str, str]


def _load(name: str) -> Page:
    text = files(__package__).joinpath(name).read_text("utf-8")
    # Content Security Policy Level 3: only what is in the file now, by its digest; requests to this server alone.
    policy = (
        f"default-src 'none'; style-src {_digests(_STYLE, text)}; script-src {_digests(_SCRIPT, text)}; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    return Page(text.encode("utf-8"), headers)


def _digests(element: re.Pattern[str], text: str) -> str:
    found = [base64.b64encode(hashlib.sha256(part.encode("utf-8")).digest()) for part in element.findall(text)]
    return " ".join(f"'sha256-{digest.decode('ascii')}'" for digest in found) or "'none'"


INSPECT = _load("inspect.html")
