"""What differs between two trees of settings, and which of it a running server can take."""

from __future__ import annotations

from pydantic import BaseModel, ValidationError

from server.core.errors import ConfigurationError
from server.settings.section import attributes
from server.settings.tree import Settings, setting_names

# Whole sections and single settings that are read only at the start: sockets, processes and connections come from them.
_AT_THE_START = frozenset({"server.host", "server.port", "server.workers", "store", "metrics"})


def needs_restart(name: str) -> bool:
    """Whether a change of this setting, named as in `setting_names`, takes a restart."""
    return name in _AT_THE_START or name.partition(".")[0] in _AT_THE_START


def changed_names(before: Settings, after: Settings) -> list[str]:
    """The names of the settings that differ. Values are not told, since they may be secrets."""
    return [name for name in setting_names() if _value(before, name) != _value(after, name)]


def taken_live(running: Settings, read: Settings) -> Settings:
    """The settings that were read, but for those that need a restart: they stay as the server has them.

    Raises ConfigurationError if the two don't fit together.
    """
    tree: dict[str, object] = {}
    for section, field in Settings.model_fields.items():
        value = getattr(read, section)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            kept = {
                name: getattr(getattr(running, section), name)
                for key, name in attributes(field.annotation).items()
                if needs_restart(f"{section}.{key}")
            }
            value = value.model_copy(update=kept)
        tree[section] = value
    try:
        taken = Settings(**tree)
    except ValidationError as error:
        problems = [part["msg"].removeprefix("Value error, ") for part in error.errors(include_input=False)]
        remedy = "with what needs a restart and is still as it was at the start; restart, or mend it"
        raise ConfigurationError([f"{line} ({remedy})" for text in problems for line in text.splitlines()]) from None
    sources = {name: source for name, source in read.sources.items() if not needs_restart(name)}
    return taken.from_sources(
        sources | {name: source for name, source in running.sources.items() if needs_restart(name)}
    )


def _value(settings: Settings, name: str) -> object:
    section, _, key = name.partition(".")
    value = getattr(settings, section)
    return getattr(value, attributes(type(value))[key]) if key else value
