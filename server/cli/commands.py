"""All commands. A command's module is imported only when it is called, because importing all takes a second."""

from __future__ import annotations

import gc
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand
from typer.main import get_group

from server import __version__
from server.cli.command import Commands, Group
from server.cli.command_line import CommandLine

# The place of each command or group, and its line in the help: the beginning of `help=` or of the docstring there.
COMMANDS = {
    "serve": ("server.cli.serve:serve", "Start the server."),
    "health": ("server.health.commands:health", "Ask the running server whether it is well."),
    "doctor": ("server.doctor.commands:doctor", "Say what is wrong with this installation."),
    "migrate": ("server.database.migrate_command:migrate", "Bring the store up to date."),
    "routes": ("server.documents.commands:routes", "Print the effective role table."),
    "explain": ("server.documents.commands:explain", "Say whether a call would be allowed, and why."),
    "openapi": ("server.documents.commands:openapi", "Print the OpenAPI document."),
    "completion": ("server.cli.completion:completion", "Print a script for completion in a shell."),
    "store": ("server.database.commands:app", "Look after the store; the server may be running."),
    "config": ("server.settings.commands:app", "Look at the settings."),
    "users": ("server.users.commands:app", "Make and change accounts; the server may be running."),
    "keys": ("server.keys.commands:app", "The keys that sign tokens; the server may be running."),
    "token": ("server.inspection.commands:app", "Look into an access token."),
    "mail": ("server.mail.commands:app", "Look at mails, and after those that wait."),
    "audit": ("server.audit.commands:app", "Who did what to whom; the server may be running."),
}
# Commands that belong to a group, but whose module the group's module may not import.
_INNER = {
    "store": {
        "move": "server.database.transfer.commands:move",
        "reopen": "server.database.transfer.commands:reopen",
    },
    "users": {
        "import": "server.users.transfer.commands:import_users",
        "export": "server.users.transfer.commands:export_users",
        "invite": "server.registration.commands:invite",
        "invitations": "server.registration.commands:list_invitations",
        "uninvite": "server.registration.commands:uninvite",
    },
}
# The commands of the groups with their help lines, for a shell that completes a name: it should not wait for imports.
INNER_LINES = {
    "store": {
        "backup": "Copy an SQLite store as it is at this moment.",
        "move": "Move the store to another database.",
        "reopen": "Take a store that was moved into use again.",
        "restore": "Put a backup where `store.url` points.",
    },
    "config": {
        "check": "Read the settings as `serve` would.",
        "reload": "Let the running server read its settings again.",
        "show": "Print the settings in force, secrets masked, as TOML.",
    },
    "users": {
        "create": "Make a user.",
        "list": "Print all users, the oldest first.",
        "show": "Print all about a user and the sessions.",
        "rename": "Give a user another username.",
        "set-email": "Give a user a primary e-mail address.",
        "disable": "Lock a user out.",
        "enable": "Let a disabled user log in again.",
        "set-role": "Give a user another role.",
        "set-password": "Give a user a new password.",
        "reset-password": "Print a token that sets a new password, once.",
        "delete": "Delete a user.",
        "import": "Take accounts with their password hashes from a file.",
        "export": "Write all accounts with their password hashes.",
        "invite": "Print a link with which somebody can register.",
        "invitations": "Print all invitations, the newest first.",
        "uninvite": "Let nobody register with an invitation any more.",
    },
    "keys": {
        "list": "Print the keys: next, active, retired or revoked.",
        "rotate": "Let the next key follow, and make another one.",
        "revoke": "Revoke a key that is in wrong hands.",
        "replace": "After a break-in: replace all keys, end all sessions.",
        "rewrap": "Change the master key.",
    },
    "token": {
        "inspect": "Print what a token says and whether it is accepted.",
        "verify": "Exit with 0 if a token is accepted, else with 1.",
    },
    "mail": {
        "preview": "Show what a mail says, with made-up values.",
        "test": "Send a mail, and say step by step what works.",
        "list": "Print the newest mails, the newest first.",
        "retry": "Let a mail be tried at once that waits or was given up.",
    },
    "audit": {
        "list": "Print the newest records, the newest first.",
        "verify": "Prove that no record was altered or taken away.",
        "export": "Write all records as JSON lines, the oldest first.",
    },
}


class _LazyGroup(Group):
    """Lists commands by name and help line without importing them, and loads only the one that is called."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = {name: TyperCommand(name, help=line) for name, (_, line) in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that the arguments name."""
        name, command, rest = super().resolve_command(ctx, args)
        if ctx.resilient_parsing and not rest and name in INNER_LINES:
            # A shell completes the name of a command in this group.
            listed = {inner: TyperCommand(inner, help=line) for inner, line in INNER_LINES[name].items()}
            return name, Group(name=name, commands=listed), rest
        return name, load(name) if name in COMMANDS else command, rest


def load(name: str) -> Any:
    """The command or group of that name, as typer makes it."""
    made = _made(name, COMMANDS[name][0])
    for inner, place in _INNER.get(name, {}).items():
        made.commands[inner] = _made(inner, place)
    return made


def _made(name: str, place: str) -> Any:
    found = _import(place)
    alone = Commands()
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
    else:
        alone.command(name)(found)
    return get_group(alone).commands[name]


def _import(place: str) -> Any:
    """The object at `module:name`. Garbage collection pauses meanwhile, because imports leave no garbage."""
    module, _, name = place.partition(":")
    gc.disable()
    try:
        return getattr(import_module(module), name)
    finally:
        gc.freeze()
        gc.enable()


app = typer.Typer(
    cls=_LazyGroup,
    help="Watchword: logins, short-lived tokens, sessions and roles for your API. Without a command it serves.\n\n"
    "Example: serve --demo",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"watchword {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def common(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help="Settings to read in place of config.toml.", metavar="PATH", show_default=False)
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options that stand before any command."""
    del version
    context.obj = CommandLine(config, context.obj)
    if context.invoked_subcommand is None:
        _import(COMMANDS["serve"][0])(context, demo=False, config=None)
