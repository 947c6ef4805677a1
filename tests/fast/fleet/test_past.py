"""What the past looks like stays the same, whatever of it is rolled up, moved and forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from instances.admin.history import History
from instances.admin.history import history as chart
from instances.fleet import history, past
from instances.fleet.history_rules import Sum, stretches
from instances.fleet.retention import purge
from instances.incidents.uptime import report, uptime_percent
from instances.lib.calendar import DAY, day_of
from instances.models import HealthCheck, Instance, Transition
from tests.factories import World

pytestmark = pytest.mark.django_db
BEGAN = datetime(2026, 3, 7, 6, 30, tzinfo=UTC)
NOW = datetime(2026, 3, 13, 15, 45, 20, tzinfo=UTC)
EVERY = timedelta(minutes=40)
OUTAGES = (  # it is down from one to the other
    (BEGAN + timedelta(hours=30), timedelta(minutes=90)),
    (datetime(2026, 3, 9, 23, 50, tzinfo=UTC), timedelta(minutes=20)),  # over a midnight
    (datetime(2026, 3, 11, 15, 0, tzinfo=UTC), timedelta(seconds=7)),
    (datetime(2026, 3, 12, 23, 59, 59, tzinfo=UTC), timedelta(hours=2)),
    (datetime(2026, 3, 13, 15, 20, tzinfo=UTC), timedelta(minutes=15)),  # in the hour under way
)


@pytest.fixture
def instance(world: World, settings: Settings) -> Instance:
    """Checked every 40 minutes for 6 days, of which a day of checks is kept."""
    settings.HISTORY_DAYS = 1
    Instance.objects.all().delete()
    found, other = world.instance("c1"), world.instance("c2")
    Instance.objects.update(created_at=BEGAN)
    HealthCheck.objects.bulk_create([*checks(found), a_check(other, BEGAN + DAY, 7000)])
    changes = [
        (BEGAN, "up"),
        *((at, "down") for at, _ in OUTAGES),
        *((at + lasts, "up") for at, lasts in OUTAGES),
    ]
    Transition.objects.bulk_create(
        Transition(instance=each, at=at, availability=state)
        for each in (found, other)
        for at, state in changes
    )
    return found


def checks(instance: Instance) -> Iterator[HealthCheck]:
    for number in range(int((NOW - BEGAN) / EVERY) + 1):
        at = BEGAN + number * EVERY
        down = any(begins <= at < begins + lasts for begins, lasts in OUTAGES)
        yield a_check(instance, at, None if down else number % 50 + 1, "fail" if down else "ok")
    yield a_check(instance, datetime(2026, 3, 9, tzinfo=UTC), None, "unknown")


def a_check(instance: Instance, at: datetime, latency: int | None, outcome: str = "ok") -> HealthCheck:
    return HealthCheck(
        instance=instance, checked_at=at, outcome=outcome, status="healthy", latency_ms=latency,
        consecutive_failures=0, container_state="running",
    )  # fmt: skip


def steps(number: int) -> None:
    left = iter(range(number))
    history.keep(NOW, lambda: next(left, None) is None)


def forget(settings: Settings) -> dict[str, int]:
    settings.HOURLY_DAYS, settings.RECORD_DAYS = 3, 4
    return purge(NOW)


def sources(days: float, finest: timedelta) -> str:
    """What the last days are read from now, by first letters."""
    return "".join(
        part.source[0].upper() for part in stretches(NOW - days * DAY, NOW, finest, past.kept(NOW))
    )


def rounded(sums: list[Sum]) -> list[tuple[Any, ...]]:
    words = ("at", "kept", "failures", "unknown", "up", "down", "latency_min", "latency_max")
    return [tuple(getattr(each, word) for word in words) for each in sums]


def drawn(found: History) -> tuple[Any, ...]:
    return (found.checks, found.failures, found.unknown, found.slowest, found.uptime_percent)


STATES = (  # steps of the roll-up more than before, and from what the six days are read then
    (0, "C"),  # nothing is rolled up yet
    (25, "HC"),
    (134, "HC"),  # all hours, and no day
    (10_000, "DHC"),
    (0, "DHC"),  # and what is old is forgotten
)


FIRST_TOLD = day_of(NOW) - 3 * DAY  # of what transitions are still kept
BEGINNINGS = {  # of a period: from when on it is counted
    NOW - 2 * DAY: NOW - 2 * DAY,
    FIRST_TOLD: FIRST_TOLD,
    FIRST_TOLD - timedelta(seconds=1): FIRST_TOLD - DAY,  # by whole days
    FIRST_TOLD - 2 * DAY: FIRST_TOLD - 2 * DAY,
    BEGAN: BEGAN,
    BEGAN - 100 * DAY: BEGAN,
}


def uptimes(instance: Instance, beginnings: Iterable[datetime]) -> list[tuple[float | None, float, float]]:
    """What was up since each of the moments: in percent, and in seconds of up and down."""

    def found(since: datetime) -> tuple[float | None, float, float]:
        line, _ = report(Instance.objects.all(), since, NOW).lines
        return uptime_percent([instance.pk], since, NOW)[instance.pk], line.uptime.up, line.uptime.down

    return [found(since) for since in beginnings]


def test_the_past_is_the_same_whatever_it_is_read_from(instance: Instance, settings: Settings) -> None:
    times = [each.checked_at for each in HealthCheck.objects.filter(instance=instance)]
    days, hours = past.by_day(instance, BEGAN, NOW), past.by_hour(instance, NOW - 2 * DAY, NOW)
    year, month = drawn(chart(instance, "1y", NOW, 600)), drawn(chart(instance, "30d", NOW, 600))
    assert sum(each.kept for each in days) == year[0] == len(times)
    uptime = uptimes(instance, BEGINNINGS.values())
    assert len(set(uptime)) == len(BEGINNINGS) - 1
    for number, (more, read) in enumerate(STATES):
        steps(more)
        if number == len(STATES) - 1:
            forgotten = forget(settings)
            assert forgotten["checks"] > 150 and forgotten["transitions"] == 4
        assert (number, sources(6, DAY)) == (number, read)
        found_days = past.by_day(instance, BEGAN, NOW)
        assert rounded(found_days) == rounded(days)
        assert rounded(past.by_hour(instance, NOW - 2 * DAY, NOW)) == rounded(hours)
        averages = [each.latency_avg for each in found_days]
        assert averages == pytest.approx([each.latency_avg for each in days], abs=1)
        assert drawn(chart(instance, "1y", NOW, 600)) == year
        assert drawn(chart(instance, "30d", NOW, 600)) == month
        for period in ("1d", "7d"):  # these begin with an hour or a day, where they are drawn from those
            found = chart(instance, period, NOW, 600)
            assert found.checks == len([at for at in times if at >= found.since])
            assert not [bar for bar in found.bars if bar.x < 0 or bar.x > 100]
    assert uptimes(instance, BEGINNINGS) == uptime
