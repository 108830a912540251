"""The failures of requests that reach no feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from server.core.errors import ApiError


class MalformedRequest(ApiError):
    """The bytes are not HTTP, or a header field is repeated or unreadable (RFC 9112)."""

    status = 400
    code = "malformed_request"
    title = "Malformed request"
    default_detail = "The request could not be read as HTTP."


class InvalidJson(ApiError):
    """The body is not one JSON object in UTF-8 (RFC 8259)."""

    status = 400
    code = "invalid_json"
    title = "Invalid JSON"
    default_detail = "The body is not a JSON object in UTF-8."


class MethodNotAllowed(ApiError):
    """The path exists for other methods."""

    status = 405
    code = "method_not_allowed"
    title = "Method not allowed"
    default_detail = "This path does not take this method."

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__()
        self.allowed = tuple(allowed)

    def headers(self) -> Mapping[str, str]:
        """`Allow` (RFC 9110 section 15.5.6)."""
        return {"Allow": ", ".join(self.allowed)}


class RequestTimeout(ApiError):
    """The body did not arrive in time."""

    status = 408
    code = "request_timeout"
    title = "Request timeout"
    default_detail = "The body did not arrive in time."


class PayloadTooLarge(ApiError):
    """The body is larger than `server.max_body_bytes`."""

    status = 413
    code = "payload_too_large"
    title = "Payload too large"
    default_detail = "The body is too large."


class UnsupportedMediaType(ApiError):
    """The body is not declared as `application/json`, or it is encoded."""

    status = 415
    code = "unsupported_media_type"
    title = "Unsupported media type"
    default_detail = "Send the body as application/json, without a content encoding."


class InternalError(ApiError):
    """A defect. The log has the traceback, the answer has only the request id."""


class CsrfRefused(ApiError):
    """A cookie came from another site."""

    status = 403
    code = "csrf"
    title = "Cross-site request refused"
    default_detail = "A request with the session cookie must come from this site or from an allowed origin."
