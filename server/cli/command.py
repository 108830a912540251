"""The kind of command and of group that all commands here are.

Their help ends with an example, and what begins with a dash may be a value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

Function = TypeVar("Function", bound=Callable[..., Any])


# The last paragraph of a docstring, or of the help of a group. Its lines are commands without the program.
_EXAMPLE = "\n\nExample: "


class Command(TyperCommand):
    """A command whose values may begin with a dash, as one in 64 names of keys does.

    typer reads `-hXYZ` as `-h` with other options behind it, and shows the help. We have no option of one letter but
    `-h`, so everything else with one dash is a value.
    """

    def __init__(self, name: str | None, *, help: str | None = None, **options: Any) -> None:  # noqa: A002 - typer's
        text, _, self.example = (help or "").partition(_EXAMPLE)
        super().__init__(name, help=text, **options)
        for value in self.params:
            if isinstance(value, TyperArgument) and value.metavar is None:
                value.metavar = value.name.upper()

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The example, which must not be wrapped."""
        _write_example(formatter, ctx, self.example)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As in typer, with the options first, then `--`, then the values."""
        parameters = self.get_params(ctx)
        if not any(isinstance(parameter, TyperArgument) for parameter in parameters):
            return super().parse_args(ctx, args)
        options = {
            name: not option.is_flag
            for option in parameters
            if isinstance(option, TyperOption)
            for name in (*option.opts, *option.secondary_opts)
        }
        known, values = _apart(args, options, every_value=ctx.ignore_unknown_options)
        unknown = next((one for one in known if one.startswith("--") and _name(one) not in options), None)
        if unknown is not None and not ctx.resilient_parsing:
            near = get_close_matches(unknown, options)
            meant = f"did you mean {near[0]}?" if near else "if it is a value, write -- before it"
            ctx.fail(f"No such option: {unknown}; {meant}")
        return super().parse_args(ctx, [*known, *(["--", *values] if values else [])])


def _apart(arguments: Sequence[str], options: dict[str, bool], *, every_value: bool) -> tuple[list[str], list[str]]:
    """The options with their values, and all other arguments. `options` says which of them take a value."""
    known: list[str] = []
    values: list[str] = []
    rest = list(arguments)
    while rest:
        one = rest.pop(0)
        if one == "--":
            return known, values + rest
        if _name(one) not in options and (every_value or not one.startswith("--")):
            values.append(one)
            continue
        known.append(one)
        if options.get(one):
            if not rest:
                # typer says that its value is missing. It must not take the `--` for it.
                return known, []
            known.append(rest.pop(0))
    return known, values


def _name(argument: str) -> str:
    """The option of `--option=value`."""
    return argument.partition("=")[0] if argument.startswith("--") else argument


class Group(TyperGroup):
    """A group whose help ends with an example."""

    def __init__(self, *, help: str | None = None, **options: Any) -> None:  # noqa: A002 - typer's
        text, _, self.example = (help or "").partition(_EXAMPLE)
        super().__init__(help=text, **options)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The example, which must not be wrapped."""
        _write_example(formatter, ctx, self.example)


def _write_example(formatter: Any, ctx: Any, example: str) -> None:
    program = ctx.find_root().info_name
    with formatter.section("Example"):
        for line in example.splitlines():
            formatter.write(f"  {program} {line.strip()}\n")


class Commands(typer.Typer):
    """A group of such commands. Without a command it shows its help."""

    def __init__(self, help: str = "") -> None:  # noqa: A002 - as in typer
        super().__init__(cls=Group, help=help, no_args_is_help=True, rich_markup_mode=None)

    def command(self, name: str | None = None, **options: Any) -> Callable[[Function], Function]:
        """As in typer."""
        return super().command(name, cls=Command, **options)
