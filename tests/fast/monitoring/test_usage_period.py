"""USAGE names the period that is added up, so that no more is in it than fits."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from instances.lib.calendar import DAY, HOUR, day_of, hour_of
from instances.models import Usage, UsageDay, UsageHour
from instances.monitoring.usage_report import report
from tests.factories import World
from tests.fast.conftest import Run
from tests.rows import row

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


def test_the_period_is_the_one_that_is_added_up(ran_all_the_time: datetime) -> None:
    now = ran_all_the_time
    for ago, begins in (
        (timedelta(0), hour_of),
        (timedelta(minutes=1), hour_of),
        (timedelta(hours=30, minutes=7), hour_of),
        (timedelta(days=34), hour_of),
        (timedelta(days=50, hours=3), day_of),
    ):
        with row(ago):
            [found] = report(now - ago, now)
            since = datetime.fromisoformat(found["since"])
            assert since == begins(now - ago)
            assert found["running_seconds"] == (now - since).total_seconds()


def test_the_command_says_so(ran_all_the_time: datetime, run: Run) -> None:
    [found] = run("usage", "--since", "1m", "--json").document
    assert (found["since"], found["running_seconds"]) == (
        hour_of(ran_all_the_time).isoformat().replace("+00:00", "Z"),
        900,
    )
