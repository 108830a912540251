"""How pages and their files are served: headers, languages, compression, and what a browser keeps."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest

from server.pages.assets import Assets
from server.pages.pages import PATHS
from server.settings.mail import MailSettings
from server.settings.tree import CorsSettings, PageSettings, PasswordSettings
from tests.running import Api, StartApi

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


async def get(api: Api, path: str, method: str = "GET", **headers: str) -> Any:
    """The answer as it comes, without undoing its encoding. Underscores in names of headers are hyphens."""
    sent = {"Accept-Encoding": "identity"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.client.request(method, path, headers=sent, allow_redirects=False, auto_decompress=False)


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_has_nothing_inline_and_a_strict_policy(api: Api, path: str) -> None:
    answer = await get(api, path)
    assert answer.status == 200
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cache-Control": "no-cache",
        "Vary": "Accept-Encoding, Accept-Language, Cookie",
    }
    assert {name: answer.headers[name] for name in headers} == headers
    text = (await answer.read()).decode()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)|https?:", text)
    assert len(re.findall("<h1", text)) == 1
    # Also the addresses are those of files that exist.
    for asset in set(re.findall(r'(?:href|src)="(/assets/[^"]+)"', text)):
        found = await get(api, asset)
        assert (found.status, found.headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
    for form in re.findall("<form[^>]*>", text):
        # Without its script, a form must not put a password into an address.
        assert 'method="post"' in form


async def test_the_front_leads_to_the_account(api: Api) -> None:
    answer = await get(api, "/")
    assert (answer.status, answer.headers["Location"]) == (303, "/account")
    assert (await get(api, "/favicon.ico")).headers["Content-Type"] == "image/svg+xml"


@pytest.mark.parametrize(
    ("headers", "language"),
    [
        ({}, "en"),
        ({"Accept_Language": "de"}, "de"),
        ({"Accept_Language": "de-AT,en;q=0.5"}, "de"),
        ({"Accept_Language": "fr, en;q=0.4, DE;q=0.6"}, "de"),
        ({"Accept_Language": "de;q=0, en;q=0.1"}, "en"),
        ({"Accept_Language": "fr"}, "en"),
        ({"Accept_Language": "*, de;q=0.5"}, "en"),
        ({"Accept_Language": "de;q=nan, ;;,;q, en;q=²"}, "en"),
        ({"Cookie": "watchword-language=de"}, "de"),
        ({"Cookie": "watchword-language=de", "Accept_Language": "en"}, "de"),
        ({"Cookie": "watchword-language=xx", "Accept_Language": "de"}, "de"),
    ],
)
async def test_the_language_is_that_of_the_cookie_or_of_the_browser(
    api: Api, headers: dict[str, str], language: str
) -> None:
    text = await (await get(api, "/sign-in", **headers)).text()
    assert f'<html lang="{language}">' in text
    assert f"messages.{language}.json" in text


async def test_the_settings_name_the_service_and_its_languages(start_api: StartApi) -> None:
    api = await start_api(pages=PageSettings(name="A<b> & Co", languages=("de",)))
    text = await (await get(api, "/sign-in", Accept_Language="en")).text()
    assert '<html lang="de">' in text
    assert "<title>Anmelden · A&lt;b&gt; &amp; Co</title>" in text
    assert "data-language" not in text


@pytest.mark.parametrize("accepted", ["gzip", "deflate, gzip;q=0.5", "*", "br, GZIP"])
async def test_what_takes_gzip_gets_it(api: Api, accepted: str) -> None:
    plain = await (await get(api, "/sign-in")).read()
    answer = await get(api, "/sign-in", Accept_Encoding=accepted)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(await answer.read()) == plain


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "gzip;q=0.000, *"])
async def test_what_does_not_take_gzip_gets_none(api: Api, accepted: str) -> None:
    assert "Content-Encoding" not in (await get(api, "/sign-in", Accept_Encoding=accepted)).headers


async def test_a_browser_asks_again_and_keeps_what_is_still_so(api: Api) -> None:
    for path in ("/sign-in", "/assets/older/base.css"):
        tags = set()
        for accepted in ("identity", "gzip"):
            first = await get(api, path, Accept_Encoding=accepted)
            tag = first.headers["ETag"]
            tags.add(tag)
            again = await get(api, path, Accept_Encoding=accepted, If_None_Match=tag)
            assert (again.status, await again.read(), again.headers["ETag"]) == (304, b"", tag)
            assert (await get(api, path, Accept_Encoding=accepted, If_None_Match='"other"')).status == 200
            assert first.headers["Cache-Control"] == again.headers["Cache-Control"] == "no-cache"
        assert len(tags) == 2


async def test_head_is_get_without_the_content(api: Api) -> None:
    for path in ("/sign-in", f"/assets/{Assets.load().version}/base.css", "/pages/settings"):
        got, head = await get(api, path), await get(api, path, "HEAD")
        assert await head.read() == b""
        changing = ("date", "x-request-id")
        first, second = (
            {name: value for name, value in answer.headers.items() if name.lower() not in changing}
            for answer in (got, head)
        )
        assert first == second


async def test_every_file_is_served_with_its_type(api: Api) -> None:
    assets = Assets.load()
    types = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "json": "application/json",
             "svg": "image/svg+xml"}  # fmt: skip
    assert {"base.css", "sign-in.js", "messages.de.json"} <= set(assets.names())
    for name in assets.names():
        answer = await get(api, assets.path(name))
        assert answer.headers["Content-Type"] == types[name.rpartition(".")[2]]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Vary"] == "Accept-Encoding"
    for missing in ("missing.css", "sign-in.html", "en.json", "..%2fpages.py", "%00"):
        await api.problem(await get(api, f"/assets/{assets.version}/{missing}"), 404, "not_found")


def test_the_version_changes_with_any_file() -> None:
    one = {"a.js": b"1", "b.js": b"2"}
    versions = {Assets(files).version for files in (one, {"a.js": b"1", "b.js": b"3"}, {"a.js": b"12", "b.js": b""})}
    assert len(versions) == 3
    assert Assets(dict(reversed(one.items()))).version == Assets(one).version


def test_scripts_are_fetched_with_all_that_they_import() -> None:
    files = {
        "a.js": b'import { b } from "./b.js";\nimport {\n  c,\n} from "./c.js";\n',
        "b.js": b'export { c } from "./c.js";\nimport "./a.js";\n',
        "c.js": b'export const text = "./d.js";\n',
    }
    found = Assets(files).get("a.js")
    assert found is not None
    assert set(found.imports) == {"a.js", "b.js", "c.js"}
    with pytest.raises(KeyError):
        Assets({"a.js": b'import "./missing.js";\n'})


async def test_the_pages_can_be_switched_off_and_their_files_stay(start_api: StartApi) -> None:
    api = await start_api(pages=PageSettings(enabled=False))
    for path in ("/", "/pages/settings", *PATHS):
        # 405 where the API has another method at the path.
        assert (await get(api, path)).status in {404, 405}, path
    assert (await get(api, "/assets/1/base.css")).status == 200
    assert (await get(api, "/docs")).status == 200


async def test_what_pages_know_of_the_server(start_api: StartApi) -> None:
    api = await start_api(
        cors=CorsSettings(origins=("https://app.example.com",)),
        passwords=PasswordSettings(bcrypt_cost=4, min_length=17),
        pages=PageSettings(name="Here", languages=("de", "en")),
    )
    expected = {
        "name": "Here",
        "languages": ["de", "en"],
        "public_url": "",
        "registration": {"mode": "closed"},
        "password": {"min_length": 17},
        "mail": {"enabled": False, "sign_in_codes": False},
        "return_origin": None,
    }
    assert await (await get(api, "/pages/settings")).json() == expected
    for origin, told in (("https://app.example.com", "https://app.example.com"), ("https://app.example", None)):
        answer = await get(api, f"/pages/settings?return_origin={origin}")
        assert (await answer.json()) == expected | {"return_origin": told}
    await api.problem(await get(api, "/pages/settings?return_origin="), 422, "invalid_request")


@pytest.mark.parametrize("codes", [False, True])
async def test_what_pages_know_of_mail(start_api: StartApi, tmp_path: Path, codes: bool) -> None:
    mail = {"url": f"file://{tmp_path}/mail", "from": "auth@example.com", "sign_in_codes": codes}
    api = await start_api(mail=MailSettings.model_validate(mail))
    told = (await (await get(api, "/pages/settings")).json())["mail"]
    assert told == {"enabled": True, "sign_in_codes": codes}
