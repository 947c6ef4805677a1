"""USAGE names the period that is added up, so that no more is in it than fits."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from instances.lib.calendar import DAY, HOUR, day_of, hour_of
from instances.models import Usage, UsageDay, UsageHour
from instances.monitoring.usage_report import report
from tests.factories import World
from tests.fast.conftest import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def ran_all_the_time(world: World) -> datetime:
    """Now, a quarter past an hour; c1 ran without an end, by hours for 40 days and by days before."""
    world.clock.advance(900)
    instance, hour, day = world.instance(), hour_of(world.now), day_of(world.now)
    seconds = (world.now - hour).total_seconds()
    Usage.objects.create(instance=instance, hour=hour, seconds=seconds, next_read_at=world.now)
    UsageHour.objects.bulk_create(
        UsageHour(instance=instance, at=hour - HOUR * back, seconds=3600) for back in range(1, 24 * 40)
    )
    UsageDay.objects.bulk_create(
        UsageDay(instance=instance, at=day - DAY * back, seconds=86400) for back in range(1, 100)
    )
    return world.now


@pytest.mark.parametrize(
    ("ago", "begins"),
    [
        (timedelta(0), "the hour"),
        (timedelta(minutes=1), "the hour"),
        (timedelta(hours=30, minutes=7), "the hour"),
        (timedelta(days=34), "the hour"),
        (timedelta(days=50, hours=3), "the day"),
    ],
)
def test_the_period_is_the_one_that_is_added_up(
    ran_all_the_time: datetime, ago: timedelta, begins: str
) -> None:
    now = ran_all_the_time
    [row] = report(now - ago, now)
    since = datetime.fromisoformat(row["since"])
    assert since == (hour_of if begins == "the hour" else day_of)(now - ago)
    assert row["running_seconds"] == (now - since).total_seconds()


def test_the_command_says_so(ran_all_the_time: datetime, run: Run) -> None:
    [row] = run("usage", "--since", "1m", "--json").document
    assert (row["since"], row["running_seconds"]) == (
        hour_of(ran_all_the_time).isoformat().replace("+00:00", "Z"),
        900,
    )
