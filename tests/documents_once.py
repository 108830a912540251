"""The API's documents are the same for all servers with the same routes and access rules, and slow to make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from unittest import mock

import pytest

import server.app
from server.documents.docs_page import docs_page
from server.documents.openapi import openapi_document
from server.http.route import GuardedRoute
from server.pages.page import Page
from server.pages.rendering import Renderer


class Documents:
    """Those of this test process. Nobody changes them."""

    def __init__(self) -> None:
        self._documents: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._pages: dict[tuple[int, str, str], Page] = {}

    def openapi(self, rows: Iterable[GuardedRoute], public_url: str = "") -> dict[str, Any]:
        """In place of openapi_document()."""
        rows = tuple(rows)
        key = (public_url, *((id(row.route), str(row.rule)) for row in rows))
        if key not in self._documents:
            self._documents[key] = openapi_document(rows, public_url)
        return self._documents[key]

    def page(self, document: dict[str, Any], renderer: Renderer, public_url: str = "") -> Page:
        """In place of docs_page()."""
        key = (id(document), renderer.service, public_url)
        if key not in self._pages:
            self._pages[key] = docs_page(document, renderer, public_url)
        return self._pages[key]


@pytest.fixture(scope="session", autouse=True)
def documents_once() -> Iterator[None]:
    """A third of the start of a server."""
    documents = Documents()
    with mock.patch.multiple(server.app, openapi_document=documents.openapi, docs_page=documents.page):
        yield
