"""`config check` and `config show`."""

from __future__ import annotations

import typer

from server.cli.command import Commands
from server.cli.command_line import Config
from server.cli.context import AsJson, loaded_for, print_json, settings_for, sources
from server.cli.reload import settings_file
from server.cli.reload_socket import reload_running
from server.cli.tables import visible
from server.settings.display import key_text, plain, toml_value

app = Commands("Look at the settings.\n\nExample: config show")


@app.command()
def check(context: typer.Context, config: Config = None) -> None:
    """Read the settings as `serve` would.

    It prints a line for each problem, and exits with 2 if there is one.

    Example: config check --config /etc/watchword/config.toml
    """
    loaded = loaded_for(context, config)
    settings = loaded.settings
    if settings.mail.enabled:
        # Few settings have mails, and importing this takes 100 ms.
        from server.mail.rendering.template_check import checked_templates  # noqa: PLC0415

        checked_templates(settings.mail.templates)
    for line in sources(loaded):
        typer.echo(line)
    for line in settings.weaknesses():
        typer.echo(f"weak: {line}")
    for note in filter(None, (settings.one_address_for_all(), settings.without_mail())):
        typer.echo(f"note: {note}")
    typer.echo("the settings are fine")


@app.command()
def reload(context: typer.Context, as_json: AsJson = False, config: Config = None) -> None:
    """Let the running server read its settings again.

    They take effect as a whole, or not at all.

    Example: config reload
    """
    # Exit 2 if they are wrong, and the server is not even told.
    loaded_for(context, config)
    file = settings_file(context, config)
    outcome = reload_running(file)
    if as_json:
        print_json({"changed": list(outcome.changed), "needs_restart": list(outcome.needs_restart)})
        return
    if outcome.changed:
        typer.echo(f"reloaded: {visible(', '.join(outcome.changed))}")
    elif not outcome.needs_restart:
        typer.echo(f"nothing has changed in {visible(str(file))}")
    if outcome.needs_restart:
        typer.echo(f"needs a restart: {visible(', '.join(outcome.needs_restart))}")


@app.command()
def show(context: typer.Context, as_json: AsJson = False, config: Config = None) -> None:
    """Print the settings in force, secrets masked, as TOML.

    Example: config show --json
    """
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
