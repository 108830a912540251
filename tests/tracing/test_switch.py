"""What the variables of OpenTelemetry switch on, and what they can't ask for."""

from __future__ import annotations

import pytest

from server.core.errors import ConfigurationError
from server.settings import Settings
from server.tracing import switch
from server.tracing.switch import traces_wanted
from server.tracing.tracing import Tracing

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
HERE = "http://127.0.0.1:4318"


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({ENDPOINT: ""}, False),
        ({"OTEL_SERVICE_NAME": "auth"}, False),
        ({ENDPOINT: HERE}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{HERE}/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", ENDPOINT: HERE}, False),
        ({"OTEL_SDK_DISABLED": "TRUE", ENDPOINT: HERE}, False),
        ({"OTEL_SDK_DISABLED": "false", ENDPOINT: HERE}, True),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "zipkin"}, False),
        ({ENDPOINT: HERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
        # That of traces goes before that of all signals.
        (
            {
                ENDPOINT: HERE,
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            },
            True,
        ),
    ],
)
def test_what_switches_traces_on(environment: dict[str, str], wanted: bool) -> None:
    assert traces_wanted(environment) is wanted


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER: 'zipkin' is not known here; set otlp, or none"),
        ({ENDPOINT: "localhost:4318"}, f"{ENDPOINT}: is no http"),
        ({ENDPOINT: "http://[::1"}, f"{ENDPOINT}: is no http"),
        ({ENDPOINT: "http://host:99999"}, f"{ENDPOINT}: is no http"),
        (
            {ENDPOINT: HERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL: traces are",
        ),
    ],
)
def test_what_can_not_be(environment: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        traces_wanted(environment)
    (line,) = refused.value.problems
    assert line.startswith(told)


def test_traces_without_the_extra_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switch, "_EXPORTER", "opentelemetry.exporter.no_such_thing.at_all")
    with pytest.raises(ConfigurationError, match=r"pip install 'watchword\[otel\]'"):
        traces_wanted({ENDPOINT: HERE})
    assert not traces_wanted({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "many"),
        ("OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER", "nobody"),
    ],
)
def test_what_the_library_does_not_take_is_a_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=r"^OTEL_\*: OpenTelemetry does not take a variable: "):
        Tracing(Settings())
