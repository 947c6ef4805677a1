"""Ends of containers that their engines made good: which are that, and when they are too many. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True)
class Death:
    """The end of a container, at nanoseconds of its engine's clock; None where no exit code was told."""

    at: int
    exit_code: int | None = None

    @property
    def moment(self) -> datetime:
        """When, to the microsecond."""
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=self.at // 1000)


def started_again(state: str, started_at: datetime | None, died_at: datetime) -> bool:
    """Whether a container that ended then runs again, or its engine is about to start it again."""
    if state == "restarting":
        return True
    return state == "running" and started_at is not None and started_at >= died_at


def are_too_many(deaths: Iterable[datetime], now: datetime, allowed: int, within: timedelta) -> bool:
    """Whether so many deaths that each was made good are trouble all the same."""
    return sum(now - within < death <= now for death in deaths) >= allowed


def in_words(exit_code: int | None) -> str:
    """How a container ended, as a piece of a sentence."""
    return "" if exit_code is None else f" with exit code {exit_code}"
