"""Settings as people see them: as TOML, with secrets masked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from server.core.text import escaped
from server.settings.masking import MASK, masked_url
from server.settings.section import attributes
from server.settings.tree import Settings, setting_names


def plain(value: Any) -> Any:
    """Settings as dicts, lists and scalars. Secrets that are set are masked, also in URLs."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        named = attributes(type(value)).items()
        return {key: _plain_setting(key, fields[name], getattr(value, name)) for key, name in named}
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, tuple) else value


def _plain_setting(name: str, field: FieldInfo, value: Any) -> Any:
    if "SecretStr" in str(field.annotation):
        return _masked(value)
    return masked_url(value) if name == "url" or name.endswith("_url") else plain(value)


def _masked(secrets: tuple[SecretStr, ...]) -> str | list[str]:
    masks = [MASK] * len(secrets)
    return masks if len(masks) > 1 else "".join(masks)


def listing(settings: Settings) -> list[dict[str, Any]]:
    """Each setting of the whole server, as `plain` shows it, with its default, in the form of SettingAnswer."""
    values, defaults = plain(settings.whole), plain(Settings())
    rows = []
    for name in setting_names():
        section, _, key = name.partition(".")
        value, default = (tree[section][key] if key else tree[section] for tree in (values, defaults))
        source = settings.sources.get(name, "default")
        rows.append({"name": name, "value": value, "default": default, "source": source})
    return rows


def toml_value(value: object) -> str:
    """A value in the syntax of TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + escaped(value.replace("\\", "\\\\").replace('"', '\\"')) + '"'
    if isinstance(value, list):
        return "[" + ", ".join(toml_value(part) for part in value) + "]"
    return str(value)


def key_text(name: str) -> str:
    """A name in the syntax of TOML."""
    return name if name.replace("_", "").isalnum() else toml_value(name)
