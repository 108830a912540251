"""The public names: each is there, and costs nothing before it is asked for."""

from __future__ import annotations

import pkgutil
import re
import subprocess
import sys

import pytest

import watchword_client
from tests.process.server_process import ROOT

HEAVY = ("aiohttp", "cryptography", "jwt", "asyncio")


def test_every_public_name_is_there_and_listed() -> None:
    for name in watchword_client.__all__:
        assert getattr(watchword_client, name) is not None
    assert set(watchword_client.__all__) <= set(dir(watchword_client))


def test_no_module_has_the_name_of_something_public() -> None:
    """Once it is imported, it would stand in the place of that."""
    modules = {module.name for module in pkgutil.iter_modules(watchword_client.__path__)}
    assert not modules & set(watchword_client.__all__)


def test_another_name_is_refused_as_by_any_module() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Verifire'"):
        getattr(watchword_client, "Verifire")  # noqa: B009 - mypy knows that it is not there


def test_the_package_and_its_errors_import_nothing_heavy() -> None:
    program = (
        "import sys, watchword_client, watchword_client.errors, watchword_client.access\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"


def test_the_examples_of_its_readme_name_what_there_is() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "watchword_client" / "README.md").read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})  # noqa: S102 - our own documentation
