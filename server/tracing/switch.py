"""Whether there are traces: the standard variables of OpenTelemetry say it, so there are no settings of our own."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from urllib.parse import urlsplit

from server.core.errors import ConfigurationError

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


def traces_wanted(environment: Mapping[str, str]) -> bool:
    """Whether the environment asks for traces. Raises ConfigurationError if they can't be as it says.

    They are switched on by an endpoint, or by OTEL_TRACES_EXPORTER=otlp. As the specification wants it, an empty
    variable counts as none.
    """

    def first(*names: str) -> tuple[str, str]:
        found = ((name, environment.get(name, "").strip()) for name in names)
        return next((pair for pair in found if pair[1]), (names[0], ""))

    exporter = first("OTEL_TRACES_EXPORTER")[1].lower()
    endpoint_name, endpoint = first(*_ENDPOINTS)
    if first("OTEL_SDK_DISABLED")[1].lower() == "true" or exporter == "none" or not (exporter or endpoint):
        return False
    if exporter not in {"", "otlp"}:
        raise ConfigurationError([f"OTEL_TRACES_EXPORTER: {exporter!r} is not known here; set otlp, or none"])
    protocol_name, protocol = first(*_PROTOCOLS)
    if protocol not in {"", "http/protobuf"}:
        raise ConfigurationError(
            [f"{protocol_name}: traces are sent by http/protobuf alone, usually to port 4318; set that"]
        )
    if endpoint and not _is_http(endpoint):
        raise ConfigurationError([f"{endpoint_name}: is no http:// or https:// URL; write one like http://host:4318"])
    if not _is_installed():
        asks = "OTEL_TRACES_EXPORTER" if exporter else endpoint_name
        raise ConfigurationError(
            [f"{asks}: asks for traces, but they are not installed: pip install 'watchword[otel]', or unset it"]
        )
    return True


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_installed() -> bool:
    try:
        return find_spec(_EXPORTER) is not None
    except ModuleNotFoundError:
        return False
