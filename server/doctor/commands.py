"""`doctor`."""

from __future__ import annotations

from dataclasses import asdict

import typer

from server.cli.command_line import Config
from server.cli.context import AsJson, acting, loaded_for, print_json, run_async
from server.cli.tables import visible
from server.core.clock import SystemClock
from server.core.ids import Ids, SystemRandomness
from server.doctor.examination import examine
from server.doctor.model import Finding, Level
from server.logs.output import configure_logs
from server.settings.tree import LogSettings


def doctor(context: typer.Context, as_json: AsJson = False, config: Config = None) -> None:
    """Say what is wrong with this installation. Exit 1 if something is.

    It looks at settings, files, store, keys, clock, proxies and machine, and changes nothing. The server may be
    running.

    Example: doctor
    """
    clock = SystemClock()
    found: list[Finding] = []

    async def look() -> None:
        async for finding in examine(lambda: loaded_for(context, config), clock, Ids(clock, SystemRandomness())):
            found.append(finding)
            if not as_json:
                typer.echo(_line(finding))

    # A finding says what a warning in the log would say.
    configure_logs(LogSettings(level="error"))
    with acting():
        run_async(look())
    if as_json:
        print_json([_members(finding) for finding in found])
    if any(finding.level is Level.WRONG for finding in found):
        raise typer.Exit(1)


def _line(finding: Finding) -> str:
    remedy = f"; {finding.remedy}" if finding.remedy else ""
    return f"{finding.level:<8} {finding.topic:<9} {visible(finding.text + remedy)}"


def _members(finding: Finding) -> dict[str, str]:
    """A finding without a remedy has no such member."""
    return {name: str(value) for name, value in asdict(finding).items() if value is not None}
