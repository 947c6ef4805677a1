"""The chart of an instance's past: what was seen is drawn, what was not leaves a hole, with its time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from instances.admin import history as charting
from instances.admin.history import PERIODS, History, history, number_of_parts
from instances.models import HealthCheck, Instance
from tests.factories import World

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUARTER = 900.0


def a_check(
    instance: Instance, minutes_ago: float, outcome: str = "ok", latency: int | None = 5
) -> HealthCheck:
    return HealthCheck(
        instance=instance, outcome=outcome, status="healthy", latency_ms=latency, consecutive_failures=0,
        checked_at=NOW - timedelta(minutes=minutes_ago),
    )  # fmt: skip


def checked(instance: Instance, minutes_ago: float, outcome: str = "ok", latency: int | None = 5) -> None:
    a_check(instance, minutes_ago, outcome, latency).save()


def drawn(instance: Instance, period: str = "1d") -> History:
    return history(instance, period, NOW, QUARTER)


@pytest.mark.parametrize("latency", [None, 0])
@pytest.mark.parametrize(("outcome", "kind"), [("unknown", "unknown"), ("ok", "good"), ("fail", "bad")])
def test_every_check_is_seen_whatever_it_measured(
    world: World, outcome: str, kind: str, latency: int | None
) -> None:
    instance = world.instance()
    checked(instance, 60, outcome, latency)
    checked(instance, 300)
    first, second = drawn(instance).bars
    assert (first.kind, second.kind) == ("good", kind)
    assert min(first.height, second.height) > 0


def test_a_stretch_of_unknown_reaches_the_top(world: World) -> None:
    instance = world.instance()
    for minutes in (60, 90):
        checked(instance, minutes, "unknown", None)
    assert [(bar.kind, bar.height) for bar in drawn(instance).bars] == [("unknown", 100), ("unknown", 100)]


@pytest.mark.parametrize("period", ["1d", "7d", "30d"])
def test_regular_checks_leave_no_hole_and_missing_ones_do(world: World, period: str) -> None:
    instance = world.instance()
    checks = int(PERIODS[period].total_seconds() / QUARTER)
    HealthCheck.objects.bulk_create(
        a_check(instance, 15 * number + (number % 3))  # sweeps take a while
        for number in range(checks)
    )
    parts = number_of_parts(PERIODS[period], QUARTER)
    assert len(drawn(instance, period).bars) == parts
    middle = NOW - PERIODS[period] / 2
    HealthCheck.objects.filter(checked_at__gt=middle, checked_at__lt=middle + PERIODS[period] / 10).delete()
    assert len(drawn(instance, period).bars) < parts


def test_a_bar_says_when_and_what(world: World) -> None:
    instance = world.instance()
    checked(instance, 3, "unknown")
    [bar] = drawn(instance).bars
    assert bar.title == "01 Mar 11:37 to 01 Mar 12:00 UTC: 1 checks kept, 0 failed, 1 unknown, slowest 5 ms"
    assert "0 failed and 1 saw nothing" in drawn(instance).words


def test_checks_that_are_left_out_are_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charting, "MOST_CHECKS", 2)
    instance = world.instance()
    for minutes in (10, 20, 30):
        checked(instance, minutes)
    assert "Only the newest 2 checks are drawn, since 01 Mar 11:40 UTC." in drawn(instance).words


@pytest.mark.parametrize(("interval", "parts"), [(30.0, 120), (QUARTER, 64), (86_400.0, 1), (900_000.0, 1)])
def test_parts_are_no_finer_than_the_sweep(interval: float, parts: int) -> None:
    assert number_of_parts(timedelta(days=1), interval) == parts
