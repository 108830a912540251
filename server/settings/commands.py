"""`config check` and `config show`."""

from __future__ import annotations

import typer

from server.cli.command import Commands
from server.cli.context import AsJson, Config, loaded_for, print_json, settings_for, sources
from server.settings.display import key_text, plain, toml_value

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
                typer.echo(f"{key_text(name)} = {toml_value(value)}")
        for name, inner in nested.items():
            typer.echo(f"[{section}.{name}]")
            for key, value in inner.items():
                typer.echo(f"{key} = {toml_value(value)}")
        typer.echo()
