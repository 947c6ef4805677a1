"""How often a schedule comes round, whatever kind it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from itertools import pairwise
from typing import Any, Self

from celery.schedules import crontab, schedule

SPAN = timedelta(days=8)  # in which runs are looked at: a week has every rhythm that sweeps have
FAR = timedelta(days=400)
RUNS = 100  # that are looked at where only the next one can be asked for, as of the sun


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
    since = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if isinstance(kept, crontab):
        return _of_crontab(_Fields.of(kept), since)
    return _gaps(_runs_of_sun(kept, since))


@dataclass(frozen=True)
class _Fields:
    """What a crontab allows, by the clocks of `zone`; Sunday is day 0 of the week."""

    minutes: frozenset[int]
    hours: frozenset[int]
    weekdays: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    zone: tzinfo

    @classmethod
    def of(cls, kept: Any) -> Self:
        return cls(
            minutes=frozenset(kept.minute),
            hours=frozenset(kept.hour),
            weekdays=frozenset(kept.day_of_week),
            days=frozenset(kept.day_of_month),
            months=frozenset(kept.month_of_year),
            zone=kept.tz,
        )

    def allows(self, day: date) -> bool:
        return day.isoweekday() % 7 in self.weekdays and day.day in self.days and day.month in self.months


@lru_cache(maxsize=16)
def _of_crontab(fields: _Fields, since: datetime) -> Rhythm:
    """Kept for the day, because there may be thousands of runs, and every few seconds somebody asks."""
    return _gaps(_runs_of_crontab(fields, since))


def _runs_of_crontab(fields: _Fields, since: datetime) -> list[datetime]:
    """Every run after `since` up to the first that lies out of SPAN, as moments of UTC.

    Where clocks are put back the hour that comes twice has its runs once, and where they are put forward two
    runs may fall together: so Celery counts as well.
    """
    clocks = [time(hour, minute) for hour in fields.hours for minute in fields.minutes]
    first, runs = since.astimezone(fields.zone).date(), []
    for day in (first + timedelta(days=number) for number in range(FAR.days)):
        if fields.allows(day):
            local = (datetime.combine(day, clock, fields.zone) for clock in clocks)
            moments = sorted({moment.astimezone(UTC) for moment in local})
            runs += [moment for moment in moments if moment > since]
            if runs and runs[-1] - since >= SPAN:
                break
    within = sum(moment - since < SPAN for moment in runs)
    return runs[: within + 1]


def _runs_of_sun(kept: Any, since: datetime) -> list[datetime]:
    moments = [since]
    while len(moments) < RUNS and moments[-1] - since < SPAN:
        coming = _next(kept, moments[-1])
        if coming is None or coming <= moments[-1]:
            moments.append(since + FAR)
            break
        moments.append(coming)
    return moments[1:]  # `since` itself need not be a run


def _gaps(runs: Sequence[datetime]) -> Rhythm:
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(runs)]
    return Rhythm(min(gaps, default=FAR.total_seconds()), max(gaps, default=FAR.total_seconds()))


def _next(kept: Any, last: datetime) -> datetime | None:
    try:
        moment: datetime = kept.now() + kept.remaining_estimate(last)
    except (ValueError, OverflowError, RuntimeError):  # a day that never comes
        return None
    return moment.astimezone(UTC)
