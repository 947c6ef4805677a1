"""How often a schedule comes round, by the clocks of its time zone."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from celery.schedules import schedule
from django_celery_beat.tzcrontab import TzAwareCrontab

from tasks.rhythm import FAR, Rhythm, rhythm_of

HOUR, DAY = 3600, 86400
NEVER = int(FAR.total_seconds())
# minute, hour, day of the week, of the month: fewest and most seconds between two runs
CRONTABS = {
    ("*/5", "*", "*", "*"): (300, 300),
    ("*", "*", "*", "*"): (60, 60),
    ("0,5", "*", "*", "*"): (300, 3300),
    ("30", "2", "*", "*"): (DAY, DAY),
    ("0", "*/6", "1-5", "*"): (6 * HOUR, 2 * DAY + 6 * HOUR),
    ("0", "0", "mon", "*"): (7 * DAY, 7 * DAY),
    ("*/5", "9-17", "*", "*"): (300, 15 * HOUR + 300),
    ("*", "8-19", "*", "*"): (60, 12 * HOUR + 60),
    ("*/10", "*", "1-5", "*"): (600, 2 * DAY + 600),
    ("*/15", "*", "1-5", "*"): (900, 2 * DAY + 900),
    ("*", "8-19", "mon-fri", "*"): (60, 2 * DAY + 12 * HOUR + 60),
    ("0", "3", "*", "1"): (NEVER, NEVER),
}
# the same by clocks that are put forward on 29 March 2026 at 2:00, and back on 25 October at 3:00
IN_BERLIN = {
    ("*/5", "9-17", "2026-03-26"): (300, 15 * HOUR + 300),
    ("30", "2", "2026-03-26"): (23 * HOUR, DAY),
    ("30", "2", "2026-10-22"): (DAY, 25 * HOUR),
    ("*/5", "*", "2026-03-26"): (300, 300),
    ("*/5", "*", "2026-10-22"): (300, HOUR + 300),
    ("*", "20-22", "2026-10-22"): (60, 22 * HOUR + 60),
}


@pytest.mark.parametrize(("fields", "gaps"), CRONTABS.items())
def test_a_crontab_has_the_gaps_of_a_week_whatever_day_it_is(
    fields: tuple[str, str, str, str], gaps: tuple[int, int]
) -> None:
    for day in (2, 5, 6, 8):  # Tuesday, Friday, Saturday, Monday
        kept = TzAwareCrontab(*fields, tz=UTC)
        assert rhythm_of(kept, datetime(2026, 6, day, 12, tzinfo=UTC)) == Rhythm(*gaps)


@pytest.mark.parametrize(("case", "gaps"), IN_BERLIN.items())
def test_a_change_of_clocks_is_seen(case: tuple[str, str, str], gaps: tuple[int, int]) -> None:
    minute, hour, day = case
    kept = TzAwareCrontab(minute, hour, tz=ZoneInfo("Europe/Berlin"))
    assert rhythm_of(kept, datetime.fromisoformat(f"{day}T12:00:00Z")) == Rhythm(*gaps)


def test_an_interval_is_its_own_rhythm() -> None:
    assert rhythm_of(schedule(45), datetime(2026, 6, 2, tzinfo=UTC)) == Rhythm(45, 45)
