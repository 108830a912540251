"""Looks for what is wrong with templates that replace shipped ones, before the server starts with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from jinja2 import Environment, TemplateError, TemplateSyntaxError, nodes
from jinja2.meta import find_undeclared_variables
from markupsafe import escape

from server.core.errors import ConfigurationError
from server.core.text import escaped
from server.mail.errors import TemplateFailed
from server.mail.model import MailKind
from server.mail.rendering.samples import samples
from server.mail.rendering.template_files import LANGUAGES, LARGEST, TemplateFile, replacing
from server.mail.rendering.templates import COMMON, OF_HTML, OF_TEXT_LAYOUT, Templates, compiled, shown_values

_SHOWN = 10


def checked_templates(folder: str) -> Templates:
    """The templates, with those of the folder of `mail.templates`. Raises ConfigurationError: file, line and remedy."""
    files = replacing(folder)
    try:
        templates = compiled(tuple(files.items()))
    except TemplateSyntaxError as error:
        place = escaped(error.filename or str(error.name))
        raise ConfigurationError(
            [_problem(place, error.lineno, f"{str(error.message).rstrip('.')}; mend it")]
        ) from None
    problems = list(_unknown_names(templates, files)) or list(_failures(templates, files))
    if problems:
        raise ConfigurationError(list(dict.fromkeys(problems))[:_SHOWN])
    return templates


def _unknown_names(templates: Templates, files: Mapping[str, TemplateFile]) -> Iterator[str]:
    """Whatever a template names and there is not, also in branches that no sample reaches."""
    environment = templates.environment
    for name, file in files.items():
        tree = environment.parse(file.text, name, file.place)
        known = _variables(name)
        for variable in sorted(find_undeclared_variables(tree) - known):
            near = get_close_matches(variable, known, n=1)
            advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
            yield _problem(file.place, _line(tree, nodes.Name, variable), f"there is no {variable!r}; {advice}")
        yield from _unknown_calls(environment, file, tree)
        for node in tree.find_all((nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)):
            other = getattr(node, "template", None)
            if isinstance(other, nodes.Const) and other.value not in templates.files:
                yield _problem(file.place, node.lineno, f"there is no template {other.value!r}; take this away")


def _unknown_calls(environment: Environment, file: TemplateFile, tree: nodes.Template) -> Iterator[str]:
    """Filters and tests."""
    for each in tree.find_all((nodes.Filter, nodes.Test)):
        known = environment.filters if isinstance(each, nodes.Filter) else environment.tests
        if each.name not in known:
            near = get_close_matches(each.name, known, n=1)
            advice = f"did you mean {near[0]}?" if near else "take it away"
            yield _problem(file.place, each.lineno, f"jinja has no {each.name!r}; {advice}")


def _failures(templates: Templates, files: Mapping[str, TemplateFile]) -> Iterator[str]:
    """What becomes of the samples, in each language."""
    if not files:
        return
    for kind in MailKind:
        for language in LANGUAGES:
            for sample in samples(kind):
                values = shown_values(sample, language=language, service="Example", origin="https://auth.example.com")
                yield from _failures_of(templates, kind, values)


def _failures_of(templates: Templates, kind: MailKind, values: Mapping[str, object]) -> Iterator[str]:
    name = f"{kind}.{values['language']}"
    words = templates.files[f"{name}.txt"]
    try:
        parts = templates.parts(kind, values)
    except TemplateFailed as error:
        yield _problem(error.place, error.line, f"{_said(error.cause)}; mend it")
        return
    if not parts.subject:
        yield _problem(words.place, 1, "there is no subject; let the first line begin with `Subject: `")
    own = templates.files.get(f"{name}.html")
    page = own or templates.files["layout.html"]
    missing: list[str] = []
    for place, part, needed in (
        (words.place, parts.text, str),
        (page.place, parts.html, lambda text: str(escape(text))),
    ):
        if len(part) > LARGEST:
            yield f"mail.templates: {place}: makes a mail of more than {LARGEST} characters; make it shorter"
        for variable in _needed(values):
            if needed(values[variable]) in part:
                continue
            # The layout shows the words, so it is not to blame for what they lack.
            if own is not None or variable not in missing:
                missing.append(variable)
                yield f"mail.templates: {place}: {kind} needs {{{{ {variable} }}}}; write it on a line of its own"


def _needed(values: Mapping[str, object]) -> list[str]:
    """What a reader can't do without: a code, and a link that only this mail has."""
    return [*(["link"] if "#" in str(values.get("link")) else []), *(["code"] if "code" in values else [])]


def _variables(name: str) -> set[str]:
    if name == "layout.txt":
        return set(OF_TEXT_LAYOUT)
    if name == "layout.html":
        return set(OF_HTML)
    kind, _, rest = name.partition(".")
    values = shown_values(samples(MailKind(kind))[0], language="en", service="", origin="")
    return {*values, *(OF_HTML if rest.endswith("html") else COMMON)}


def _line(tree: nodes.Template, kind: type[nodes.Name], name: str) -> int:
    return next((each.lineno for each in tree.find_all(kind) if each.name == name), 1)


def _said(error: Exception) -> str:
    said = str(error) if isinstance(error, TemplateError) else f"{type(error).__name__}: {error}"
    return escaped(said.rstrip("."))


def _problem(place: str, line: int, what: str) -> str:
    return f"mail.templates: {place}, line {line}: {what}"
