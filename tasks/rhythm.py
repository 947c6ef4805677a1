"""How often a schedule comes round, whatever kind it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from celery.schedules import schedule

RUNS = 100  # that are looked at
SPAN = timedelta(days=8)  # and in which they have to lie: a week has every rhythm that sweeps have
FAR = timedelta(days=400)


@dataclass(frozen=True)
class Rhythm:
    """Seconds between two runs: the fewest and the most."""

    shortest: float
    longest: float


def rhythm_of(kept: Any, now: datetime) -> Rhythm:
    """The gaps between runs of one of Celery's schedules, from `now` on.

    One that hardly ever comes has a gap of more than a year.
    """
    if isinstance(kept, schedule):  # an interval
        seconds = float(vars(kept)["run_every"].total_seconds())
        return Rhythm(seconds, seconds)
    return _gaps(kept, now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0))


def _gaps(kept: Any, since: datetime) -> Rhythm:
    moments = [since]
    while len(moments) < RUNS and moments[-1] - since < SPAN:
        coming = _next(kept, moments[-1])
        if coming is None or coming <= moments[-1]:
            moments.append(since + FAR)
            break
        moments.append(coming)
    # `since` itself need not be a run.
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(moments[1:])]
    return Rhythm(min(gaps, default=FAR.total_seconds()), max(gaps, default=FAR.total_seconds()))


def _next(kept: Any, last: datetime) -> datetime | None:
    try:
        if hasattr(kept, "remaining_delta"):  # a crontab
            begun, delta, _ = kept.remaining_delta(last.astimezone(kept.tz))
            moment: datetime = begun + delta
        else:  # of the sun
            moment = kept.now() + kept.remaining_estimate(last)
    except (ValueError, OverflowError, RuntimeError):  # a day that never comes
        return None
    return moment.astimezone(UTC)
