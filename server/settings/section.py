"""What all sections of the settings have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A section: it never changes, takes no unknown names, and its errors never repeat a value."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def attributes(section: type[BaseModel]) -> dict[str, str]:
    """The attribute of each setting of a section by its name; they differ where the name is a word of Python."""
    return {field.alias or name: name for name, field in section.model_fields.items()}
