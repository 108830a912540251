"""The pages at the address of `server.public_url`, and at another one that leads to the same server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.scene import COOKIE, PASSWORD, USERNAME, with_customer
from tests.in_process import LocalServer, serving
from tests.listening import free_port

if TYPE_CHECKING:
    from tests.browser.conftest import Visit


@pytest.fixture
def hosted(tmp_path: Path) -> Iterator[LocalServer]:
    """It is used at localhost, and listens at 127.0.0.1, which is another origin."""
    port = str(free_port())
    changes = {"WATCHWORD__SERVER__PORT": port, "WATCHWORD__SERVER__PUBLIC_URL": f"http://localhost:{port}"}
    with serving(tmp_path, **changes) as server:
        yield with_customer(server)


def test_a_page_at_another_address_says_where_it_should_be_and_signs_nobody_in(
    visit: Visit, hosted: LocalServer
) -> None:
    public = hosted.address.replace("127.0.0.1", "localhost")
    page = visit("/sign-in?return_to=/docs")
    page.shows("#notices a")
    page.send("#sign-in", username=USERNAME, password=PASSWORD)
    page.shows("#sign-in [role=alert]")
    assert [cookie for cookie in page.browser.cookies() if cookie["name"] == COOKIE] == []
    page.click("#notices a")
    page.until(lambda: page.run("return location.href") == f"{public}/sign-in?return_to=/docs", "it is there")
    page.is_at("/sign-in")
    page.send("#sign-in", username=USERNAME, password=PASSWORD)
    page.until(lambda: page.run("return location.href") == f"{public}/docs", "it has gone on")
    assert not page.sees("#notices a")
