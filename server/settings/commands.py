"""`config check` and `config show`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from server.cli.command import Commands
from server.cli.context import AsJson, Config, loaded_for, print_json, settings_for, sources
from server.cli.tables import visible
from server.settings.masking import MASK, masked_url

app = Commands("Look at the settings.")


@app.command()
def check(context: typer.Context, config: Config = None) -> None:
    """Read the settings as `serve` would; a line for each problem, exit 2 if there is one."""
    loaded = loaded_for(context, config)
    settings = loaded.settings
    for line in sources(loaded):
        typer.echo(line)
    for line in settings.weaknesses():
        typer.echo(f"weak: {line}")
    one_address = settings.one_address_for_all()
    if one_address is not None:
        typer.echo(f"note: {one_address}")
    typer.echo("the settings are fine")


@app.command()
def show(context: typer.Context, as_json: AsJson = False, config: Config = None) -> None:
    """Print the settings in force, secrets masked, as TOML."""
    tree = plain(settings_for(context, config))
    if as_json:
        print_json(tree)
        return
    for section, values in tree.items():
        nested = {name: value for name, value in values.items() if isinstance(value, dict)}
        if len(nested) < len(values) or not values:
            typer.echo(f"[{section}]")
        for name, value in values.items():
            if name not in nested:
                typer.echo(f"{_key(name)} = {toml_value(value)}")
        for name, inner in nested.items():
            typer.echo(f"[{section}.{name}]")
            for key, value in inner.items():
                typer.echo(f"{key} = {toml_value(value)}")
        typer.echo()


def plain(value: Any) -> Any:
    """Settings as dicts, lists and scalars. Secrets that are set are masked, also in URLs."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields.items()
        return {name: _plain_setting(name, field, getattr(value, name)) for name, field in fields}
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


def toml_value(value: object) -> str:
    """A value in the syntax of TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + visible(value.replace("\\", "\\\\").replace('"', '\\"')) + '"'
    if isinstance(value, list):
        return "[" + ", ".join(toml_value(part) for part in value) + "]"
    return str(value)


def _key(name: str) -> str:
    return name if name.replace("_", "").isalnum() else toml_value(name)
