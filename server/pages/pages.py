"""All pages and files of an application, made when it is composed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from aiohttp import web

from server.pages.assets import Assets
from server.pages.page import Page
from server.pages.rendering import Renderer
from server.settings import Settings

# The pages in all languages, by path. The template has the same name.
PATHS = ("/sign-in", "/sign-up", "/invitation", "/reset-password", "/confirm-email", "/account", "/console")


@dataclass(frozen=True, slots=True)
class Pages:
    """`by_path` has the pages in all languages; `renderer` makes others, as /docs is."""

    assets: Assets
    renderer: Renderer
    by_path: dict[str, dict[str, Page]]

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The pages with these settings."""
        assets = Assets.load()
        renderer = Renderer(assets, settings.pages.name, settings.pages.languages)
        found = {}
        if settings.pages.enabled:
            found = {path: renderer.in_all_languages(f"{path[1:]}.html") for path in PATHS}
        return cls(assets, renderer, found)


PAGES: web.AppKey[Pages] = web.AppKey("pages", Pages)
