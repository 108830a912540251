"""The log: structured lines on standard error, from Watchword and from the libraries under it."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, MutableMapping
from typing import Any, TextIO, cast

import orjson
import structlog

from server.core.text import escaped
from server.logs.stream import SteadyStream
from server.settings.tree import LogSettings

Renderer = Callable[[dict[str, object]], str]


def configure_logs(settings: LogSettings, stream: TextIO | None = None) -> Renderer | None:
    """Set up logging for this process. Returns the renderer of the request log; None means that it writes JSON.

    No processor adds local variables or arguments to a traceback, since they may hold passwords and tokens.
    """
    steady = SteadyStream(stream if stream is not None else sys.stderr)
    console = settings.format == "console" or (settings.format == "auto" and steady.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    traceback = structlog.dev.plain_traceback
    if console:
        shared.append(_in_one_line)
        render: Any = structlog.dev.ConsoleRenderer(colors=steady.isatty(), exception_formatter=traceback)
    else:
        shared.append(structlog.processors.format_exc_info)
        render = structlog.processors.JSONRenderer(serializer=_dumps)
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # It writes each line with one call, so lines of other threads can't mix with it.
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", steady)),
        cache_logger_on_first_use=False,
    )
    _adopt_standard_logging(level, shared, render, steady)

    def write_line(line: dict[str, object]) -> str:
        text: str = render(None, "info", line)
        return text

    return write_line if console else None


def _dumps(value: MutableMapping[str, Any], **_: object) -> str:
    """JSON with more escapes: orjson leaves characters as they are that end a line or are commands to terminals."""
    try:
        return escaped(orjson.dumps(value, default=str).decode("utf-8"))
    except orjson.JSONEncodeError:
        # orjson refuses lone surrogates and very large numbers; logging must not fail because of them.
        return json.dumps(value, default=str, separators=(",", ":"))


def _in_one_line(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape line breaks in values, so a log line stays one line. Tracebacks are added later and keep their lines."""
    for name, value in line.items():
        if isinstance(value, str):
            line[name] = escaped(value)
    return line


def _without_traceback_of_telemetry(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """OpenTelemetry adds one when a collector is away or a variable is wrong. The error alone says as much."""
    error = (line.get("exc_info") or (None, None))[1]
    if error is not None and line["_record"].name.partition(".")[0] == "opentelemetry":
        line["exc_info"] = None
        line["reason"] = f"{type(error).__name__}: {error}"
    return line


def _adopt_standard_logging(
    level: int, shared: list[structlog.typing.Processor], render: Any, stream: SteadyStream
) -> None:
    """Give the log lines of aiohttp, asyncio and the drivers the same form as ours."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_without_traceback_of_telemetry, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))
