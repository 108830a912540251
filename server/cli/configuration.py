"""`config check` and `config show`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer
from pydantic import BaseModel, SecretStr

from server.cli.state import AsJson, Config, print_json, settings_for

app = typer.Typer(help="Look at the settings.", no_args_is_help=True)

MASK = "********"


@app.command()
def check(context: typer.Context, config: Config = None) -> None:
    """Read the settings as `serve` would; a line for each problem, exit 2 if there is one."""
    settings = settings_for(context, config)
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
    """Settings as dicts, lists and scalars; a secret that is set becomes a mask."""
    if isinstance(value, BaseModel):
        return {
            name: _masked(getattr(value, name)) if "SecretStr" in str(field.annotation) else plain(getattr(value, name))
            for name, field in type(value).model_fields.items()
        }
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, tuple) else _without_password(value)


def _masked(secrets: tuple[SecretStr, ...]) -> str | list[str]:
    masks = [MASK] * len(secrets)
    return masks if len(masks) > 1 else "".join(masks)


def _without_password(value: Any) -> Any:
    """A store URL may carry a password between : and @ (RFC 3986 section 3.2.1)."""
    if isinstance(value, str) and "://" in value and "@" in value:
        scheme, _, rest = value.partition("://")
        authority, _, host = rest.rpartition("@")
        user, colon, password = authority.partition(":")
        return f"{scheme}://{user}{colon}{MASK if password else ''}@{host}"
    return value


def toml_value(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list):
        return "[" + ", ".join(toml_value(part) for part in value) + "]"
    return str(value)


def _key(name: str) -> str:
    return name if name.replace("_", "").isalnum() else toml_value(name)
