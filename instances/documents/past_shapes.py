"""The shapes of an instance's past: its recorded checks, and what is known of an hour or a day of it."""

from __future__ import annotations

from typing_extensions import TypedDict

from instances.documents.shapes import Status, Time


class Past(TypedDict):
    """One recorded check: what it saw, and what it made of the instance."""

    checked_at: Time
    outcome: str
    reason: str | None
    status: Status
    http_status: int | None
    latency_ms: int | None
    consecutive_failures: int
    container_state: str | None
    error: str | None


class PastSum(TypedDict):
    """What is known of an hour or a day that began `at`: of its kept checks, and of the time itself.

    What is neither up nor down was unknown, or nobody watched.
    """

    at: Time
    checks: int
    failures: int
    unknown: int
    uptime_percent: float | None
    uptime_seconds: float
    downtime_seconds: float
    latency_min_ms: int | None
    latency_avg_ms: int | None
    latency_max_ms: int | None
