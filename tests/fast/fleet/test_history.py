"""The history is rolled up and forgotten in steps, and what it says stays true."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from instances.db import partitions
from instances.db.clock import SYSTEM
from instances.fleet import by_instance, former_checks, history, roll_up
from instances.fleet.retention import purge
from instances.health.response import Outcome
from instances.models import (
    CheckDay,
    CheckHour,
    FormerCheck,
    HealthCheck,
    HistoryProgress,
    Instance,
    Transition,
)
from instances.models.history import CHECKED_STATUSES, CONTAINER_STATES, OUTCOMES
from tests.factories import World

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
WORDS = ("kept", "failures", "up", "down", "latency_min", "latency_avg", "latency_max")


def checked(instance: Instance, at: datetime, latency: int | None = 10, outcome: str = "ok") -> HealthCheck:
    return HealthCheck.objects.create(
        instance=instance, checked_at=at, outcome=outcome, status="healthy", latency_ms=latency,
        consecutive_failures=0, container_state="running",
    )  # fmt: skip


def available(instance: Instance, at: datetime, availability: str) -> None:
    Transition.objects.create(instance=instance, at=at, availability=availability)


def to_the_end() -> Callable[[], bool]:
    return lambda: False


def after_steps(number: int) -> Callable[[], bool]:
    left = iter(range(number))
    return lambda: next(left, None) is None


def sums(model: type[Any], instance: Instance) -> list[tuple[Any, ...]]:
    return list(model.objects.filter(instance=instance).order_by("at").values_list("at", *WORDS))


@pytest.fixture
def monday(world: World) -> Instance:
    """An instance that was down from 10:50 to 11:20, and looked at now and then."""
    Instance.objects.all().delete()
    instance = world.instance("c1")
    Instance.objects.update(created_at=MONDAY - DAY)
    available(instance, MONDAY - DAY, "up")
    available(instance, MONDAY + 10 * HOUR + timedelta(minutes=50), "down")
    available(instance, MONDAY + 11 * HOUR + timedelta(minutes=20), "up")
    for minutes, latency, outcome in ((5, 10, "ok"), (15, 30, "ok"), (50, None, "fail"), (51, None, "fail")):
        checked(instance, MONDAY + 10 * HOUR + timedelta(minutes=minutes), latency, outcome)
    checked(instance, MONDAY + 11 * HOUR + timedelta(minutes=20), 5)
    return instance


def test_hours_and_days_are_summed_up_once(monday: Instance) -> None:
    now = MONDAY + DAY + 2 * HOUR
    assert history.keep(now, to_the_end()) > 0
    hours = {row[0].hour: row[1:] for row in sums(CheckHour, monday) if row[0] < MONDAY + DAY}
    assert hours[9] == (0, 0, 3600, 0, None, None, None)
    assert hours[10] == (4, 2, 3000, 600, 10, 20, 30)
    assert hours[11] == (1, 0, 2400, 1200, 5, 5, 5)
    assert sums(CheckDay, monday) == [(MONDAY, 5, 2, 84_600, 1800, 5, 17, 30)]
    assert history.keep(now, to_the_end()) == 0, "nothing is left to do"


def test_an_hour_is_not_summed_up_before_it_has_settled(monday: Instance) -> None:
    history.keep(MONDAY + 12 * HOUR + timedelta(minutes=29), to_the_end())
    assert [row[0].hour for row in sums(CheckHour, monday)][-1] == 10
    history.keep(MONDAY + 12 * HOUR + timedelta(minutes=30), to_the_end())
    assert [row[0].hour for row in sums(CheckHour, monday)][-1] == 11


def test_killed_after_any_step_it_goes_on_and_the_sums_are_the_same(
    world: World, monday: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roll_up, "AT_ONCE", 1)
    other = world.instance("c2")
    Instance.objects.update(created_at=MONDAY - DAY)
    available(other, MONDAY, "up")
    checked(other, MONDAY + 3 * HOUR, 7)
    now = MONDAY + 5 * HOUR
    while history.keep(now, after_steps(1)):
        at, instance_id = HistoryProgress.objects.values_list("at", "instance_id").get(pk="hours")
        # Killed before it was written down how far it came: the step is made twice.
        if CheckHour.objects.filter(at=at, instance_id=instance_id).exists() and instance_id == monday.pk:
            HistoryProgress.objects.filter(pk="hours").update(instance_id=0)
            history.keep(now, after_steps(1))
    assert [row[1:3] for row in sums(CheckHour, other)] == [(0, 0), (0, 0), (0, 0), (1, 0)]
    assert len(sums(CheckHour, monday)) == 4


def test_two_that_roll_up_the_same_do_it_once(monday: Instance) -> None:
    now = MONDAY + DAY
    history.keep(now, after_steps(1))
    late = HistoryProgress.objects.get(pk="hours")
    history.keep(now, after_steps(1))
    before = HistoryProgress.objects.get(pk="hours")
    assert roll_up._step(late, HOUR)
    after = HistoryProgress.objects.get(pk="hours")
    assert (before.at, before.instance_id) == (after.at, after.instance_id)


def test_sums_that_stood_still_for_too_long_go_on_where_checks_are_kept(
    monday: Instance, settings: Settings
) -> None:
    history.keep(MONDAY + 2 * HOUR, to_the_end())
    settings.HOURLY_DAYS = 2
    history.keep(MONDAY + 9 * DAY, after_steps(1))
    assert dict(HistoryProgress.objects.values_list("name", "at")) == {
        "hours": MONDAY + 7 * DAY + HOUR, "days": MONDAY + 7 * DAY,
    }  # fmt: skip


def test_sums_whose_checks_are_gone_are_not_made_again(monday: Instance) -> None:
    history.keep(MONDAY + 17 * HOUR, to_the_end())
    HealthCheck.objects.filter(checked_at__lt=MONDAY + 11 * HOUR).delete()
    HealthCheck.objects.update(latency_ms=8)
    before = sums(CheckHour, monday)
    history.keep(MONDAY + 14 * HOUR, to_the_end())
    assert sums(CheckHour, monday) == [row for row in before if row[0] < MONDAY + 13 * HOUR]


def test_what_is_not_summed_up_yet_is_not_forgotten(monday: Instance, settings: Settings) -> None:
    settings.HISTORY_DAYS = 1
    history.keep(MONDAY + 5 * HOUR, to_the_end())
    later = MONDAY + DAY + 12 * HOUR
    assert history.forget_checks(later) == 0
    history.keep(later, to_the_end())
    assert history.forget_checks(later) == 5
    assert not HealthCheck.objects.exists()
    assert CheckDay.objects.filter(failures=2).exists(), "what it came to is still known"


def test_days_are_dropped_as_a_whole_where_there_are_partitions(monday: Instance, settings: Settings) -> None:
    if not partitions.is_partitioned():
        return
    settings.HISTORY_DAYS = 1
    HealthCheck.objects.all().delete()
    days = [(MONDAY + number * DAY).date() for number in range(4)]
    assert partitions.make(history.TABLE, days) == days
    for number in range(4):
        checked(monday, MONDAY + number * DAY + 6 * HOUR)
        checked(monday, MONDAY + number * DAY + 23 * HOUR)
    checked(monday, MONDAY - DAY)  # of a day that has no partition
    now = MONDAY + 3 * DAY + 23 * HOUR
    history.keep(now, to_the_end())
    assert set(days) < set(partitions.days(history.TABLE)), "and some that are yet to come"
    assert history.forget_checks(now) == 5
    left = sorted(HealthCheck.objects.values_list("checked_at", flat=True))
    assert partitions.days(history.TABLE)[0] == days[2]
    assert left[0] == MONDAY + 2 * DAY + 6 * HOUR, "a day goes when all of it is old"
    assert left[-1] == MONDAY + 3 * DAY + 23 * HOUR
    assert len(left) == 4


def test_two_that_make_or_drop_the_same_partition_do_it_once(
    monday: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    if partitions.is_partitioned():
        day, table = (MONDAY + 5 * DAY).date(), history.TABLE
        assert partitions.make(table, [day]) == [day]
        with monkeypatch.context() as before_that:
            before_that.setattr(partitions, "days", lambda _: [])
            assert partitions.make(table, [day]) == []
        assert partitions.drop(table, day) == 0
        assert partitions.drop(table, day) is None
        assert partitions.make(table, [MONDAY.date()]) == [], "the default one has rows of it"


def test_a_partition_of_another_role_keeps_none_of_the_others(
    monday: Instance, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    if not partitions.is_partitioned():
        return
    settings.HISTORY_DAYS = 1
    HealthCheck.objects.all().delete()
    days = [(MONDAY + number * DAY).date() for number in range(2)]
    partitions.make(history.TABLE, days)
    history.keep(MONDAY + 4 * DAY, to_the_end())
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE of_no_use; ALTER TABLE {history.TABLE} OWNER TO of_no_use")
        cursor.execute(f"ALTER TABLE {partitions.name_of(history.TABLE, days[1])} OWNER TO of_no_use")
        cursor.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO of_no_use; SET ROLE of_no_use")
        history.forget_checks(MONDAY + 4 * DAY)
        cursor.execute("RESET ROLE")
    there = partitions.days(history.TABLE)
    assert (days[0] in there, days[1] in there) == (True, False)
    assert (
        f"The partition {partitions.name_of(history.TABLE, days[0])} could not be dropped now" in caplog.text
    )


def test_sums_are_forgotten_after_their_days(monday: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_instance, "AT_ONCE", monday.pk)  # two portions, the second with all there is
    history.keep(MONDAY + DAY + 2 * HOUR, to_the_end())
    assert purge(MONDAY + 34 * DAY)["hours of checks"] == 0
    purged = purge(MONDAY + 37 * DAY)
    assert purged["hours of checks"] > 20 and purged["days of checks"] == 0
    assert purge(MONDAY + 731 * DAY)["days of checks"] == 1


def former(instance: Instance, at: datetime, **values: Any) -> FormerCheck:
    known = {"outcome": "ok", "status": "healthy", "consecutive_failures": 0, "container_state": "running"}
    return FormerCheck.objects.create(instance=instance, checked_at=at, **{**known, **values})


def test_the_former_table_is_moved_newest_first_and_before_anything_is_summed_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(former_checks, "AT_ONCE", 2)
    instance, now = world.instance("c1"), MONDAY + 40 * DAY
    HealthCheck.objects.all().delete()
    for day in (1, 38, 39):
        former(instance, MONDAY + day * DAY, latency_ms=day)
    former(instance, MONDAY + 39 * DAY + HOUR, outcome="fail", status="suspect", container_state="odd",
           reason="timeout", error="It hangs.", consecutive_failures=40_000)  # fmt: skip
    history.keep(now, after_steps(1))
    assert not HistoryProgress.objects.exists()
    assert [row.latency_ms for row in HealthCheck.objects.order_by("checked_at")] == [39, None]
    history.keep(now, after_steps(2))
    assert not FormerCheck.objects.exists()
    assert [row.latency_ms for row in HealthCheck.objects.order_by("checked_at")] == [38, 39, None]
    last = HealthCheck.objects.order_by("-checked_at")[0]
    assert (last.outcome, last.status, last.container_state, last.reason, last.consecutive_failures) == (
        "fail", "suspect", "other", "timeout", 32_767,
    )  # fmt: skip


def test_a_process_that_dies_while_it_moves_the_former_table_loses_and_doubles_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(former_checks, "AT_ONCE", 2)
    instance, now = world.instance("c1"), MONDAY + 2 * DAY
    HealthCheck.objects.all().delete()
    for number in range(5):
        former(instance, MONDAY + number * HOUR, latency_ms=number)
    copy = former_checks._copy

    def die(*given: Any) -> None:
        copy(*given)
        raise SystemExit

    for _ in range(2):
        with monkeypatch.context() as dying:
            dying.setattr(former_checks, "_copy", die)
            with pytest.raises(SystemExit):
                history.keep(now, to_the_end())
        assert FormerCheck.objects.count() + HealthCheck.objects.count() == 5
        history.keep(now, after_steps(1))
    assert FormerCheck.objects.count() == 1
    history.keep(now, to_the_end())
    moved = HealthCheck.objects.order_by("checked_at").values_list("latency_ms", flat=True)
    assert (list(moved), FormerCheck.objects.count()) == ([0, 1, 2, 3, 4], 0)


def test_words_keep_their_places() -> None:
    assert OUTCOMES == (Outcome.OK, Outcome.FAIL, Outcome.STARTING, Outcome.UNKNOWN)
    assert ",".join(CHECKED_STATUSES) == "unknown,starting,healthy,suspect,unhealthy,restarting,failed,paused"
    assert CONTAINER_STATES[:8] == (
        "", "created", "running", "paused", "restarting", "removing", "exited", "dead",
    )  # fmt: skip


def test_an_instance_is_added_by_the_clock_that_all_processes_share(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SYSTEM, "now", lambda: MONDAY)
    instance = world.instance()
    instance.save()
    instance.refresh_from_db()
    assert instance.created_at == MONDAY
