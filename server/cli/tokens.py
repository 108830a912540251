"""`token …`: looking into a token."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from server.access import RoleTable
from server.cli.state import AsJson, Config, print_json, run_with_services, settings_for
from server.clock import SystemClock
from server.config import Settings
from server.errors import ConfigurationError, KeyRefused
from server.tokens.jwk import KeySet
from server.tokens.verifier import Verifier
from server.web.inspection import ACCEPTED, inspect_elsewhere, inspect_here
from server.web.table import AccessTable

app = typer.Typer(help="Look into an access token.", no_args_is_help=True)

Token = Annotated[
    str | None, typer.Argument(help="The token; else it is read from standard input.", show_default=False)
]
Jwks = Annotated[
    Path | None,
    typer.Option("--jwks", help="A file with a JWK Set or a JWK, in place of the store's keys.", show_default=False),
]
# More than any token has.
_INPUT_CHARACTERS = 65_536


@app.command()
def inspect(
    context: typer.Context, token: Token = None, jwks: Jwks = None, as_json: AsJson = False, config: Config = None
) -> None:
    """Print what a token says, whether it holds, why it would be refused, and which routes it may call."""
    report = _report(settings_for(context, config), token, jwks)
    if as_json:
        print_json(report)
    else:
        typer.echo("\n".join(_lines(report)))


@app.command()
def verify(
    context: typer.Context, token: Token = None, jwks: Jwks = None, as_json: AsJson = False, config: Config = None
) -> None:
    """Exit with 0 if a token is accepted, and with 1 if not, saying why."""
    report = _report(settings_for(context, config), token, jwks)
    if as_json:
        print_json({name: report[name] for name in ("verdict", "reasons", "claims")})
    else:
        typer.echo(": ".join([report["verdict"], *(["; ".join(report["reasons"])] if report["reasons"] else [])]))
    if report["verdict"] != ACCEPTED:
        raise typer.Exit(1)


def _report(settings: Settings, given: str | None, jwks: Path | None) -> dict[str, Any]:
    token = (given if given is not None else _read_token()).strip()
    if jwks is not None:
        verifier = Verifier(_keys_of(jwks), issuer=settings.tokens.issuer, audience=settings.tokens.audience)
        return inspect_elsewhere(token, verifier, SystemClock().now_ms())
    table = AccessTable(RoleTable(settings.roles), settings.access)
    return run_with_services(settings, lambda services: inspect_here(token, services, table.allowed_to))


def _read_token() -> str:
    return sys.stdin.buffer.read(_INPUT_CHARACTERS).decode("ascii", "replace")


def _keys_of(path: Path) -> KeySet:
    try:
        return KeySet.parse(path.read_bytes())
    except OSError as error:
        raise ConfigurationError([f"--jwks {path}: can't be read ({error.strerror})"]) from None
    except KeyRefused as error:
        raise ConfigurationError([f"--jwks {path}: {error}"]) from None


def _lines(report: dict[str, Any]) -> list[str]:
    lines = [report["verdict"], *(f"  {reason}" for reason in report["reasons"])]
    signature = report["signature"]
    if signature["valid"] is not None:
        state = f", which is {signature['key_state']}" if signature["key_state"] else ""
        holds = "holds" if signature["valid"] else "does not hold"
        lines.append(f"signature {holds}: {signature['algorithm']} by key {signature['kid']}{state}")
    words = {time["claim"]: f"  {time['at']}, {time['words']}" for time in report["times"]}
    for title in ("header", "claims"):
        if report[title] is not None:
            lines.append(title)
            lines += [
                f"  {ascii_text(name):<10}{ascii_text(value)}{words.get(name, '') if title == 'claims' else ''}"
                for name, value in report[title].items()
            ]
    if report["routes"]:
        lines.append("may call")
        lines += [f"  {route['method']:<8}{route['path']}" for route in report["routes"]]
    return lines


def ascii_text(value: object) -> str:
    """A value of a token for a terminal, which what is in a token must not control."""
    text = value if isinstance(value, str) else repr(value)
    return text if text.isascii() and text.isprintable() else ascii(text)
