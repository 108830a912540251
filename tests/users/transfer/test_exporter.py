from __future__ import annotations

import io
from collections.abc import AsyncIterator

import pytest

from server.repositories import Repositories, open_repositories
from server.users.model import Credentials, User
from server.users.transfer.exporter import PAGE, export_pages
from server.users.transfer.formats import read_csv, read_json_lines
from server.users.transfer.importer import ImportCounts, Refusal
from server.users.transfer.lines import read_lines
from tests.accounts import importer_on
from tests.clock import FakeClock
from tests.records import NOW, id_of, import_users

HASH = "$2b$04$" + "a" * 53


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Repositories]:
    opened = await open_repositories(store_url, serving=False)
    yield opened
    await opened.close()


def users() -> list[Credentials]:
    given = [
        User(id_of(1), "Lak", 'Lak, "the first"', "admin", None, NOW, NOW + 1, NOW + 2),
        User(id_of(2), "john@example.com", "👩‍🚀; Ünal,", "customer", NOW + 3, NOW, NOW, None),
        User(id_of(3), "x", " spaces ", "customer", None, 0, 0, 0, "x@bücher.example", None),
        User(id_of(4), "y@example.com", "Y", "customer", None, 0, 0, 0, "Y@example.com", NOW),
    ]
    given += [User(id_of(n), f"u{n}", f"U {n}", "customer", None, NOW, NOW, None) for n in range(5, PAGE + 10)]
    return [Credentials(user, None if user.username == "x" else HASH, NOW) for user in given]


@pytest.mark.parametrize("as_csv", [False, True])
async def test_what_was_exported_comes_back_as_it_was(store: Repositories, tmp_path: object, as_csv: bool) -> None:
    await import_users(store, users(), NOW)
    pages = [page async for page in export_pages(store.users, as_csv=as_csv)]
    assert sum(count for count, _ in pages) == len(users())
    exported = "".join(text for _, text in pages)
    other = await open_repositories(f"sqlite:///{tmp_path}/other.db", serving=False)
    refusals: list[Refusal] = []
    importer = importer_on(other, FakeClock(NOW), refuse=refusals.append)
    lines = read_lines(io.BytesIO(exported.encode()))
    await importer.run(read_csv(lines) if as_csv else read_json_lines(lines))
    assert (importer.counts, refusals) == (ImportCounts(imported=len(users())), [])
    there = await other.users.list_credentials(10_000)
    assert [(one.user, one.password_hash) for one in there] == [(one.user, one.password_hash) for one in users()]
    assert "".join([text async for _, text in export_pages(other.users, as_csv=as_csv)]) == exported
    (email,) = await other.emails.list_emails(id_of(4))
    assert (email.email, email.verified_at, email.primary) == ("Y@example.com", NOW, True)
    await other.close()


async def test_an_empty_store_exports_nothing_but_the_header_of_csv(store: Repositories) -> None:
    assert [page async for page in export_pages(store.users, as_csv=False)] == []
    names, times = "id,username,name,email,email_verified", "created_at,updated_at,last_login_at,disabled_at"
    header = f"{names},role,password_hash,disabled,{times}\n"
    assert [page async for page in export_pages(store.users, as_csv=True)] == [(0, header)]
