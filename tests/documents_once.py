"""The API's documents are the same for all servers with the same routes and access rules, and slow to make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from unittest import mock

import pytest

import server.app
from server.documents.docs_page import docs_page
from server.documents.openapi import openapi_document
from server.http.pages import Page
from server.http.route import GuardedRoute


class Documents:
    """Those of this test process. Nobody changes them."""

    def __init__(self) -> None:
        self._made: dict[tuple[Any, ...], tuple[dict[str, Any], Page]] = {}

    def openapi(self, rows: Iterable[GuardedRoute]) -> dict[str, Any]:
        """In place of openapi_document()."""
        rows = tuple(rows)
        key = tuple((id(row.route), str(row.rule)) for row in rows)
        if key not in self._made:
            document = openapi_document(rows)
            self._made[key] = document, docs_page(document)
        return self._made[key][0]

    def page(self, document: dict[str, Any]) -> Page:
        """In place of docs_page()."""
        return next(page for made, page in self._made.values() if made is document)


@pytest.fixture(scope="session", autouse=True)
def documents_once() -> Iterator[None]:
    """A third of the start of a server."""
    documents = Documents()
    with mock.patch.multiple(server.app, openapi_document=documents.openapi, docs_page=documents.page):
        yield
