"""Makes pages of the templates, at the start. No data of a user is in them: their scripts ask the API."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import DictLoader, Environment, StrictUndefined

from server.pages.assets import Assets
from server.pages.messages import filled, load_messages
from server.pages.page import Page, page_of

# What the choice of a language depends on.
LANGUAGE_HEADERS = "Accept-Language, Cookie"


class Renderer:
    """Renders templates in the offered languages. `service` is what the pages call this service."""

    def __init__(self, assets: Assets, service: str, languages: tuple[str, ...]) -> None:
        self.languages = languages
        self._assets = assets
        self.service = service
        self._messages = {language: load_messages(language) for language in (*languages, "en")}
        self._environment = _environment()

    def page(self, template: str, language: str, *, vary: str = "", **values: object) -> Page:
        """The page of a template. It finds `values`, and what `_context` has. Raises KeyError for a missing message."""
        return page_of(self._environment.get_template(template).render(self._context(language) | values), vary=vary)

    def in_all_languages(self, template: str, **values: object) -> dict[str, Page]:
        """The page of a template by language."""
        return {language: self.page(template, language, vary=LANGUAGE_HEADERS, **values) for language in self.languages}

    def _context(self, language: str) -> dict[str, object]:
        messages = self._messages[language]

        def text(key: str, **values: object) -> str:
            return filled(messages[key], {"service": self.service} | values)

        def imports(script: str) -> list[str]:
            asset = self._assets.get(script)
            return list(asset.imports) if asset is not None else []

        return {
            "language": language,
            "languages": self.languages,
            "service": self.service,
            "t": text,
            "asset": self._assets.path,
            "imports": imports,
        }


@cache
def _environment() -> Environment:
    """The templates. Each is compiled once, which takes ten times as long as to render it.

    All are read at once, as the assets are: later the files may be those of another version, or the process may have no
    descriptor left.
    """
    found = files(__package__).joinpath("templates").iterdir()
    return Environment(
        loader=DictLoader({file.name: file.read_text("utf-8") for file in found}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
