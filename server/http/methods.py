"""The methods of HTTP that metrics and traces tell apart."""

from __future__ import annotations

# RFC 9110 and RFC 5789, as OpenTelemetry lists them.
KNOWN_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE")
# OpenTelemetry's word for any other. Metrics have it for whatever is not in a closed set.
OTHER = "_OTHER"
