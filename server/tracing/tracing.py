"""A span for each request, and within it for each call of the store and each password hash.

Spans have names and attributes of OpenTelemetry's semantic conventions. They hold nothing that is secret or says who
somebody is beyond what the log of requests says: no query, no header, no name, and of the path what the log has of it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiohttp import web
from opentelemetry import context as current
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from server import __version__
from server.core.errors import ConfigurationError
from server.core.observer import StoreOperation
from server.http.context import REQUEST_ID
from server.http.methods import KNOWN_METHODS, OTHER
from server.http.request_log import beginning_of
from server.settings import Settings
from watchword_client.middleware import ROUTE

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# How long the last spans may take to be sent when the server ends. A collector that is away must not delay the end.
FLUSH_SECONDS = 1.0


class Tracing:
    """Makes the spans of one process. It is an Observer (server/core/observer.py)."""

    def __init__(self, settings: Settings) -> None:
        """Start to send spans, as the environment says (OTEL_*). Raises ConfigurationError.

        Use it after the last fork: a thread of its own sends them. While the collector is away, it keeps a bounded
        number of spans and drops those beyond.
        """
        try:
            self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
            self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        except (ValueError, TypeError, OSError, RuntimeError) as error:
            raise ConfigurationError([f"OTEL_*: OpenTelemetry does not take a variable: {error}"]) from None
        self._propagator = TraceContextTextMapPropagator()
        self._tracer = self._provider.get_tracer("watchword", __version__)
        self._database = "sqlite" if settings.store.is_sqlite else "postgresql"
        self._address = settings.server.host

    async def around(self, handle: Handler, request: web.Request) -> web.StreamResponse:
        """Answer a request within a span. It continues the trace of the client (W3C Trace Context)."""
        method = request.method if request.method in KNOWN_METHODS else OTHER
        span = self._tracer.start_span(
            "HTTP" if method == OTHER else method,
            # In a new context: the span must be no child of whatever runs around the request.
            self._propagator.extract(request.headers, Context()),
            SpanKind.SERVER,
            {
                "http.request.method": method,
                "url.scheme": request.scheme,
                "url.path": beginning_of(request.rel_url.raw_path),
                "network.protocol.version": f"{request.version.major}.{request.version.minor}",
                "server.address": self._address,
            },
        )
        token = current.attach(set_span_in_context(span))
        try:
            response = await handle(request)
        except asyncio.CancelledError:
            _finish(span, request, method, 499)
            raise
        else:
            _finish(span, request, method, response.status)
        finally:
            current.detach(token)
            span.end()
        return response

    def store_used(self, operation: StoreOperation, started: float, *, failed: bool) -> None:
        """A call of the store: a span, if it was done for a request."""
        if not get_current_span().is_recording():
            return
        attributes = {"db.system.name": self._database, "db.operation.name": operation}
        span = self._tracer.start_span(
            f"store {operation}", kind=SpanKind.CLIENT, attributes=attributes, start_time=_wall_ns(started)
        )
        if failed:
            span.set_attribute("error.type", "store_unavailable")
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    def hashed(self, submitted: float, began: float) -> None:
        """A password hash: a span with the time that it waited as an attribute."""
        if not get_current_span().is_recording():
            return
        attributes = {"watchword.hash.wait_seconds": began - submitted}
        self._tracer.start_span("password hash", attributes=attributes, start_time=_wall_ns(submitted)).end()

    async def close(self) -> None:
        """Send the last spans, within FLUSH_SECONDS."""
        loop = asyncio.get_running_loop()
        sent = asyncio.Event()

        def send() -> None:
            self._provider.shutdown()
            # The loop may be gone by now.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(sent.set)

        # A daemon: a thread of an executor would keep the process from ending.
        threading.Thread(target=send, name="last spans", daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_SECONDS):
                await sent.wait()


def _finish(span: Span, request: web.Request, method: str, status: int) -> None:
    """Note what is known only at the end. A span that is not sampled ignores it."""
    route = request.get(ROUTE)
    if route is not None:
        span.set_attribute("http.route", route)
        span.update_name(f"{'HTTP' if method == OTHER else method} {route}")
    span.set_attribute("http.response.status_code", status)
    span.set_attribute("watchword.request_id", request.get(REQUEST_ID, ""))
    if status >= 500:
        span.set_attribute("error.type", str(status))
        span.set_status(Status(StatusCode.ERROR))


def _wall_ns(monotonic: float) -> int:
    """The wall time, in nanoseconds, of a time of the monotonic clock."""
    return time.time_ns() - round((time.monotonic() - monotonic) * 1e9)


def _resource() -> Resource:
    """What the environment says that this is (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES), else watchword."""
    told = Resource({SERVICE_VERSION: __version__}).merge(Resource.create())
    named = not str(told.attributes[SERVICE_NAME]).startswith("unknown_service")
    return told if named else told.merge(Resource({SERVICE_NAME: "watchword"}))
