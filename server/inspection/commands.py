"""`token inspect` and `token verify`."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from server.cli.command import Commands
from server.cli.command_line import Config
from server.cli.context import AsJson, print_json, run_with_services, settings_for
from server.cli.tables import visible
from server.core.clock import SystemClock
from server.core.errors import ConfigurationError
from server.files.text_file import decode_text, read_text
from server.inspection.service import ACCEPTED, inspect_elsewhere, inspect_here
from server.routes import route_table
from server.services import Services
from server.settings import Settings
from watchword_client.access import ANYONE
from watchword_client.errors import KeyRefused
from watchword_client.jwk import KeySet
from watchword_client.token_checks import TokenChecks

app = Commands("Look into an access token.\n\nExample: token inspect")

Token = Annotated[
    str | None, typer.Argument(help="The token; else it is read from standard input.", show_default=False)
]
Jwks = Annotated[
    Path | None,
    typer.Option(
        "--jwks",
        metavar="FILE",
        help="A file with a JWK Set or a JWK, in place of the store's keys.",
        show_default=False,
    ),
]
# More characters than any token has.
_INPUT_CHARACTERS = 65_536


@app.command()
def inspect(
    context: typer.Context, token: Token = None, jwks: Jwks = None, as_json: AsJson = False, config: Config = None
) -> None:
    """Print what a token says and whether it is accepted.

    Also why it would be refused, and which routes it may call.

    Example: token inspect --json
    """
    report = _report(settings_for(context, config), token, jwks)
    if as_json:
        print_json(report)
    else:
        typer.echo("\n".join(_lines(report)))


@app.command()
def verify(
    context: typer.Context, token: Token = None, jwks: Jwks = None, as_json: AsJson = False, config: Config = None
) -> None:
    """Exit with 0 if a token is accepted, else with 1.

    It prints why a token is refused.

    Example: token verify --jwks jwks.json
    """
    report = _report(settings_for(context, config), token, jwks)
    if as_json:
        print_json({name: report[name] for name in ("verdict", "reasons", "claims")})
    else:
        typer.echo(_verdict(report))
    if report["verdict"] != ACCEPTED:
        raise typer.Exit(1)


def _report(settings: Settings, given: str | None, jwks: Path | None) -> dict[str, Any]:
    token = _token_in(given if given is not None else _read_token())
    if jwks is not None:
        checks = TokenChecks(_keys_of(jwks), issuer=settings.tokens.issuer, audience=settings.tokens.audience)
        return inspect_elsewhere(token, checks, SystemClock().now_ms())
    table = route_table(settings)

    async def work(services: Services) -> dict[str, Any]:
        await services.revocations.refresh()
        return await inspect_here(token, services, table.routes_for)

    return run_with_services(settings, work)


def _read_token() -> str:
    return decode_text(sys.stdin.buffer.read(_INPUT_CHARACTERS), "replace")


def _token_in(text: str) -> str:
    """The token in a text, which may also be the answer to a login or a header line."""
    text = text.strip()
    with suppress(ValueError, RecursionError):
        answer = json.loads(text)
        if isinstance(answer, dict) and isinstance(answer.get("token"), str):
            return str(answer["token"])
    return text.removeprefix("Authorization:").strip().removeprefix("Bearer ").strip()


def _keys_of(path: Path) -> KeySet:
    try:
        return KeySet.parse(read_text(path))
    except OSError as error:
        raise ConfigurationError([f"--jwks {path}: can't be read ({error.strerror})"]) from None
    except UnicodeDecodeError:
        raise ConfigurationError([f"--jwks {path}: it is not UTF-8; save it as UTF-8"]) from None
    except KeyRefused as error:
        raise ConfigurationError([f"--jwks {path}: {error}"]) from None


def _verdict(report: dict[str, Any]) -> str:
    """The verdict and its reasons in one line."""
    return ": ".join([report["verdict"], *(["; ".join(report["reasons"])] if report["reasons"] else [])])


def _lines(report: dict[str, Any]) -> list[str]:
    lines = [report["verdict"], *(f"  {reason}" for reason in report["reasons"])]
    signature = report["signature"]
    if signature["valid"] is not None:
        key = f"{signature['algorithm']} by key {visible(signature['kid'])}"
        state = f", which is {signature['key_state']}" if signature["key_state"] else ""
        lines.append(f"signature {'holds' if signature['valid'] else 'does not hold'}: {key}{state}")
    if report["header"] is not None:
        lines += ["header", *_members(report["header"], {})]
    if report["claims"] is not None:
        words = {time["claim"]: f"  {time['at']}, {time['words']}" for time in report["times"]}
        unproven = "" if signature["valid"] else ", which nothing vouches for"
        lines += [f"claims{unproven}", *_members(report["claims"], words)]
    if report["routes"]:
        own = [route for route in report["routes"] if route["access"] != str(ANYONE)]
        lines += ["may call", *(f"  {route['method']:<8}{route['path']}" for route in own)]
        lines.append(f"  and the {len(report['routes']) - len(own)} that anyone may call")
    return lines


def _members(members: dict[str, Any], words: dict[str, str]) -> list[str]:
    return [f"  {visible(name):<9} {visible(value)}{words.get(name, '')}" for name, value in members.items()]
