"""The answer of GET /stats."""

from __future__ import annotations

from pydantic import Field

from server.core.clock import rfc3339
from server.http.schemas import Answer, Timestamp
from server.passwords.pool import HashPool
from server.statistics.model import Figures


class UserFigures(Answer):
    """How many users there are."""

    total: int = Field(description="All users", examples=[1204])
    disabled: int = Field(description="Those of them that are disabled", examples=[3])
    by_role: dict[str, int] = Field(
        description="All users by their role: first the roles of the settings, also those that nobody has",
        examples=[{"customer": 1200, "admin": 4}],
    )


class SignInsOfHourAnswer(Answer):
    """The logins of an hour."""

    hour: Timestamp = Field(description="When the hour begins, in UTC")
    succeeded: int = Field(description="How many logins succeeded", examples=[42])
    failed: int = Field(description="How many logins failed; those that were refused with 429 do not count")


class HashQueueAnswer(Answer):
    """The queue in which passwords of unknown devices wait to be checked, in the process that answers."""

    waiting: int = Field(description="How many wait at this moment")
    limit: int = Field(description="How many may wait; beyond that logins get 503", examples=[64])
    threads: int = Field(description="How many are checked at the same time", examples=[2])


class StatsAnswer(Answer):
    """The figures of the day. They are a few seconds old at most, except where counting is slow."""

    users: UserFigures = Field(description="How many users there are")
    sessions_live: int = Field(description="How many sessions can be refreshed", examples=[2310])
    sign_ins: list[SignInsOfHourAnswer] = Field(
        description="The last 24 hours, the oldest first; the last one is the hour that runs"
    )
    hash_queue: HashQueueAnswer = Field(description="The queue of password checks")


def stats_json(figures: Figures, hashes: HashPool) -> dict[str, object]:
    """The figures in the form of StatsAnswer."""
    return {
        "users": {"total": figures.total, "disabled": figures.disabled, "by_role": dict(figures.by_role)},
        "sessions_live": figures.sessions_live,
        "sign_ins": [
            {"hour": rfc3339(one.hour_at), "succeeded": one.succeeded, "failed": one.failed} for one in figures.sign_ins
        ],
        "hash_queue": {"waiting": hashes.waiting, "limit": hashes.limit, "threads": hashes.threads},
    }
