"""The templates of mails, compiled: each in its language, with the layouts around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from traceback import walk_tb

from jinja2 import FunctionLoader, StrictUndefined, Template
from jinja2.sandbox import SandboxedEnvironment

from server.mail.errors import TemplateFailed
from server.mail.model import MailKind
from server.mail.rendering.paragraphs import paragraphs_of, subject_and_body, wrapped
from server.mail.rendering.template_files import TemplateFile, shipped
from server.mail.rendering.words import device, isolated, moment, single_line

# What all templates find, beside the values of their kind. Layouts find only these.
COMMON = ("language", "service", "origin")
OF_TEXT_LAYOUT = (*COMMON, "subject", "text")
OF_HTML = (*COMMON, "subject", "paragraphs")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the templates make of values. `subject` is "" if the template has none."""

    subject: str
    text: str
    html: str


class Templates:
    """Fills in the templates. Nothing is read or compiled any more once this is made."""

    def __init__(self, files: Mapping[str, TemplateFile]) -> None:
        """Raises TemplateSyntaxError."""
        self.files = files
        self.environment = _environment(files)
        self._compiled: Mapping[str, Template] = {name: self.environment.get_template(name) for name in files}

    def parts(self, kind: MailKind, values: Mapping[str, object]) -> Parts:
        """Subject and both parts of a mail. `values` are those of `shown_values`. Raises TemplateFailed."""
        try:
            return self._parts(f"{kind}.{values['language']}", values)
        # Expressions of templates can raise anything: 1 / 0, "a" + 1.
        except Exception as error:
            raise TemplateFailed(*self._where(error, f"{kind}.{values['language']}.txt"), error) from error

    def _parts(self, name: str, values: Mapping[str, object]) -> Parts:
        subject, body = subject_and_body(self._compiled[f"{name}.txt"].render(values))
        subject = single_line(subject)
        paragraphs = paragraphs_of(body, link=str(values.get("link", "")), code=str(values.get("code", "")))
        around = {common: values[common] for common in COMMON} | {"subject": subject}
        text = self._compiled["layout.txt"].render({**around, "text": wrapped(body)})
        own = self._compiled.get(f"{name}.html")
        known = {**(values if own else {}), **around, "paragraphs": paragraphs}
        html = (own or self._compiled["layout.html"]).render(known)
        return Parts(subject, text.strip("\n") + "\n", html.strip("\n") + "\n")

    def _where(self, error: Exception, otherwise: str) -> tuple[str, int]:
        """The place of the template in which rendering failed, and the line."""
        places = {file.place for file in self.files.values()}
        frames = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__)]
        return next((one for one in reversed(frames) if one[0] in places), (self.files[otherwise].place, 1))


@lru_cache(2)
def compiled(replacing: tuple[tuple[str, TemplateFile], ...]) -> Templates:
    """The shipped templates, with these in place of those of the same name. Raises TemplateSyntaxError."""
    return Templates({**shipped(), **dict(replacing)})


def shown_values(values: Mapping[str, str | int], *, language: str, service: str, origin: str) -> dict[str, object]:
    """What templates find: times and devices in words, the path as a link, and no line break in any of them."""
    shown: dict[str, object] = {"language": language, "service": single_line(service), "origin": origin}
    for name, value in values.items():
        if name in {"at", "expires_at"}:
            shown[name] = moment(int(value), language)
        elif name == "user_agent":
            shown["device"] = device(str(value), language)
        elif name == "path":
            shown["link"] = origin + single_line(str(value))
        else:
            shown[name] = isolated(value) if isinstance(value, str) else value
    return shown


def _environment(files: Mapping[str, TemplateFile]) -> SandboxedEnvironment:
    def load(name: str) -> tuple[str, str, None] | None:
        found = files.get(name)
        return None if found is None else (found.text, found.place, None)

    environment = SandboxedEnvironment(
        loader=FunctionLoader(load),
        autoescape=lambda name: name is not None and name.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    # Some of them import modules when they are called, and later the process may have no descriptor left.
    environment.globals.clear()
    return environment
