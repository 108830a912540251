"""The settings: which file, what differs from the defaults and where it comes from, and what weakens security."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from server.core.errors import ConfigurationError
from server.core.text import escaped
from server.doctor.model import Case, Finding, note, ok, refused, warning
from server.settings import Settings
from server.settings.display import plain, toml_value
from server.settings.load import DEFAULT_FILE
from server.settings.tree import setting_names
from server.tracing.switch import traces_wanted

TOPIC = "settings"
_LONGEST_SHOWN = 80


def problems(error: ConfigurationError) -> list[Finding]:
    """A finding for each problem with which no server starts."""
    return [refused(TOPIC, escaped(problem)) for problem in error.problems]


def settings(case: Case) -> list[Finding]:
    """The file, the values that differ, and the weak ones."""
    file = case.loaded.file
    if file is None:
        first = note(TOPIC, f"there is no {DEFAULT_FILE} in {Path.cwd()}: defaults and environment are in force")
    else:
        first = ok(TOPIC, f"{file} can be read and is valid")
    return [
        first,
        *(
            note(TOPIC, f"{escaped(name)} is ignored, since a container host has made it")
            for name in case.loaded.ignored
        ),
        *_given(case),
        *(warning(TOPIC, text) for text in case.settings.weaknesses()),
    ]


def traces(environment: Mapping[str, str]) -> list[Finding]:
    """Whether traces are sent. Raises ConfigurationError."""
    return [ok(TOPIC, "traces are sent, as variables of OpenTelemetry say")] if traces_wanted(environment) else []


def _given(case: Case) -> list[Finding]:
    """The values that are not the default, with their origin."""
    found, defaults = plain(case.settings), plain(Settings())
    lines = []
    for name in setting_names():
        section, _, key = name.partition(".")
        value, default = found[section], defaults[section]
        if key:
            value, default = value[key], default[key]
        if value != default:
            lines.append(ok(TOPIC, f"{_shown(name, value)}, from {case.loaded.origins.get(name, 'another setting')}"))
    return lines


def _shown(name: str, value: object) -> str:
    if isinstance(value, dict):
        return f"[{name}] has other values"
    text = toml_value(value)
    return f"{name} = {text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + '…'}"
