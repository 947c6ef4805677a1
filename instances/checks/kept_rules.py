"""Which checks the history keeps: all that tell something, and of the others one now and then. Pure."""

from __future__ import annotations

from datetime import datetime

from instances.health.response import Outcome


def is_kept(
    outcome: Outcome,
    *,
    is_news: bool,
    earlier: datetime | None,
    at: datetime,
    every: float,
    instance_id: int,
) -> bool:
    """Whether a check of an instance becomes a row of its history.

    Each failure does, and each check that is news: another status, reason, HTTP status or finding than
    before. Of the rest the first in each stretch of `every` seconds does; 0 keeps all. `earlier` is when
    the instance was looked at before. Stretches of different instances begin at different moments, so that
    a fleet's rows are spread over time.
    """
    if outcome is Outcome.FAIL or is_news or earlier is None or not every:
        return True
    return _stretch(at, every, instance_id) != _stretch(earlier, every, instance_id)


def _stretch(moment: datetime, every: float, instance_id: int) -> int:
    shift = instance_id * 0.618034 % 1  # the golden ratio spreads numbers in a row evenly
    return int(moment.timestamp() / every + shift)
