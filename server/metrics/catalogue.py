"""All metrics: their names, their labels, and each value that a label can have. docs/monitoring.md explains them.

Names are those of OpenTelemetry's semantic conventions where there is one, in the form that Prometheus gives them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus

from server.http.methods import KNOWN_METHODS, OTHER
from server.mail.outbox_model import MailResult
from server.metrics.families import Counter, Family, Gauge, Histogram, Row
from server.metrics.process_state import Cell

METHODS = (*KNOWN_METHODS, OTHER)
# 499: the client has left before the answer, as in the log.
STATUSES = (*(status.value for status in HTTPStatus if status >= 200), 499, OTHER)

LOGIN_RESULTS = (
    "ok",
    "invalid_credentials",
    "email_not_confirmed",
    "code_invalid",
    "code_required",
    "too_many_attempts",
    "overloaded",
    "store_unavailable",
    "client_left",
    "internal_error",
)
REFRESH_RESULTS = (
    "ok",
    "refresh_invalid",
    "refresh_expired",
    "refresh_reused",
    "session_conflict",
    "store_unavailable",
    "client_left",
    "internal_error",
)
TOKEN_RESULTS = ("valid", "missing", "invalid", "expired", "revoked")
MAIL_RESULTS = tuple(result.value for result in MailResult)
STORE_OPERATIONS = ("read", "write", "follow")

# Those of OpenTelemetry for this metric.
_REQUEST_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_WAIT_BOUNDS = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_STORE_BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Catalogue:
    """The metrics, and where each has its numbers in a row of memory. It depends on nothing but the routes."""

    def __init__(self, routes: Iterable[tuple[str, str]]) -> None:
        """`routes` are method and template of each route."""
        self.requests = Histogram(
            name="http_server_request_duration_seconds",
            documentation="Time from a request's head to its answer",
            labels=("http_request_method", "http_route", "http_response_status_code"),
            series=_request_series(routes),
            bounds=_REQUEST_BOUNDS,
            sparse=True,
        )
        self.logins = Counter(
            name="watchword_login_total",
            documentation="Sign-ins by how they ended",
            labels=("result",),
            series=[(result,) for result in LOGIN_RESULTS],
        )
        self.refreshes = Counter(
            name="watchword_refresh_total",
            documentation="Uses of refresh tokens by how they ended",
            labels=("result",),
            series=[(result,) for result in REFRESH_RESULTS],
        )
        self.token_checks = Counter(
            name="watchword_token_check_total",
            documentation="Access tokens that were checked; remembered: the signature had been verified before",
            labels=("result", "remembered"),
            series=[(result, known) for result in TOKEN_RESULTS for known in ("true", "false")],
        )
        self.mails = Counter(
            name="watchword_mail_total",
            documentation="Attempts to send a mail by how they ended",
            labels=("result",),
            series=[(result,) for result in MAIL_RESULTS],
        )
        self.hash_wait = Histogram(
            name="watchword_hash_wait_seconds",
            documentation="Time that password hashes waited for a thread",
            bounds=_WAIT_BOUNDS,
        )
        self.store = Histogram(
            name="watchword_store_seconds",
            documentation="Time of calls of the store, with their wait for a connection or a turn",
            labels=("operation",),
            series=[(operation,) for operation in STORE_OPERATIONS],
            bounds=_STORE_BOUNDS,
        )
        self.store_failures = Counter(
            name="watchword_store_failures_total",
            documentation="Calls of the store that it did not answer",
            labels=("operation",),
            series=[(operation,) for operation in STORE_OPERATIONS],
        )
        self.worker_restarts = Counter(
            name="watchword_worker_restarts_total", documentation="Workers that were replaced since the start"
        )
        self.hash_queue_depth = Gauge("watchword_hash_queue_depth", "Password hashes that wait for a thread")
        self.revocation_lag = Gauge(
            "watchword_revocation_lag_seconds",
            "Time since revocations and keys were last read, of the worker that is furthest behind",
        )
        self.event_loop_lag = Gauge(
            "watchword_event_loop_lag_seconds",
            "The longest that an event loop was late in the last 15 to 30 seconds, or is now",
        )
        self.workers = Gauge("watchword_workers", "Processes that serve")
        self.sessions_live = Gauge("watchword_sessions_live", "Sessions that can be refreshed, of the whole store")
        self.mails_waiting = Gauge("watchword_mails_waiting", "Mails that wait to be sent, of the whole store")
        self.ready = Gauge("watchword_ready", "1 if /health/ready is 200, else 0")
        self.signing_key_age = Gauge("watchword_signing_key_age_seconds", "Time since the key that signs began to")
        # Those whose numbers are in a row.
        self.counted: Sequence[Counter | Histogram] = (
            self.requests,
            self.logins,
            self.refreshes,
            self.token_checks,
            self.mails,
            self.hash_wait,
            self.store,
            self.store_failures,
            self.worker_restarts,
        )
        self._starts: dict[str, int] = {}
        # The state of the process comes first.
        self.cells = len(Cell)
        for family in self.counted:
            self._starts[family.name] = self.cells
            self.cells += family.cells

    def of(self, family: Family, row: Row) -> Row:
        """The part of a row that a metric has."""
        start = self._starts[family.name]
        return row[start : start + family.cells]


def _request_series(routes: Iterable[tuple[str, str]]) -> list[tuple[object, ...]]:
    pairs = [(method, OTHER) for method in METHODS]
    for method, path in routes:
        pairs += [("GET", path), ("HEAD", path)] if method == "GET" else [(method, path)]
    return [(*pair, status) for pair in pairs for status in STATUSES]
