"""All pages and files of an application, made when it is composed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

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

    @staticmethod
    def of(settings: Settings) -> Pages:
        """The pages with these settings."""
        return _made(Assets.load(), settings.pages.enabled, settings.pages.name, settings.pages.languages)


@lru_cache(2)
def _made(assets: Assets, enabled: bool, name: str, languages: tuple[str, ...]) -> Pages:
    """They never change. Most reloads of the settings leave these as they are, and rendering takes 10 ms."""
    renderer = Renderer(assets, name, languages)
    found = {path: renderer.in_all_languages(f"{path[1:]}.html") for path in PATHS} if enabled else {}
    return Pages(assets, renderer, found)


PAGES: web.AppKey[Pages] = web.AppKey("pages", Pages)
