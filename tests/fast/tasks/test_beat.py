"""Beat goes on when its machine's clock is set back by hours."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule

from tasks.app import app
from tasks.beat import Entry, Scheduler
from tasks.schedule import SWEEP, sweep_interval

pytestmark = pytest.mark.django_db
TWO_HOURS = timedelta(hours=2)


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr("django_celery_beat.schedulers.close_old_connections", lambda: None)
    monkeypatch.setattr(Scheduler, "producer", None)
    scheduler: Any = Scheduler(app=app)
    monkeypatch.setattr(scheduler, "apply_entry", lambda entry, producer=None: scheduler.reserve(entry))
    scheduler.tick()
    yield scheduler
    scheduler._finalize.cancel()


def test_an_entry_that_ran_in_the_future_is_due_after_its_interval() -> None:
    PeriodicTask.objects.filter(name=SWEEP).update(last_run_at=datetime.now(UTC) + TWO_HOURS)
    entry: Any = Entry(PeriodicTask.objects.get(name=SWEEP), app=app)
    assert entry.is_due().next <= entry.schedule.run_every.total_seconds()


def test_an_entry_keeps_its_last_run_when_that_is_past() -> None:
    last = datetime.now(UTC) - timedelta(seconds=7)
    PeriodicTask.objects.filter(name=SWEEP).update(last_run_at=last)
    entry: Any = Entry(PeriodicTask.objects.get(name=SWEEP), app=app)
    entry.is_due()
    assert entry.last_run_at == last


def test_after_a_step_back_nothing_stays_planned_for_hours(scheduler: Any) -> None:
    scheduler._heap = [event._replace(time=event.time + 7200) for event in scheduler._heap]
    scheduler._offset += 7200
    scheduler.tick()
    [planned] = [event.time for event in scheduler._heap if event.entry.name == SWEEP]
    assert planned < time.time() + 3600


def test_without_a_step_the_plan_is_kept(scheduler: Any) -> None:
    before = scheduler._heap
    scheduler.tick()
    assert scheduler._heap is before


def test_a_schedule_that_needs_what_is_not_installed_is_left_out(
    scheduler: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sunset = SolarSchedule.objects.create(event="sunset", latitude=50, longitude=8)
    PeriodicTask.objects.create(name="evening", task="dockmgr.sweep", solar=sunset)
    found = scheduler.all_as_schedule()
    assert SWEEP in found and "evening" not in found
    assert "The schedule evening follows the sun" in caplog.text


NOWHERE = "Workers take messages from health, operations, notifications, celery only."
LEFT_OUT: dict[str, tuple[int, dict[str, str], str]] = {
    "seldom": (2**31 - 1, {}, "Its interval is longer than ten years."),
    "args": (1, {"args": "5"}, "The arguments must be a list in JSON."),
    "kwargs": (1, {"kwargs": "[]"}, "The keyword arguments must be an object in JSON."),
    "headers": (1, {"headers": "[1]"}, "The headers must be an object in JSON."),
    "queue": (1, {"queue": "nosuch"}, NOWHERE),
    "route": (1, {"exchange": "nosuch", "routing_key": "nosuch"}, NOWHERE),
}


def test_entries_that_cannot_be_carried_out_are_left_out_alone(
    scheduler: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for name, (every, given, _) in LEFT_OUT.items():
        interval = IntervalSchedule.objects.create(every=every, period="days")
        PeriodicTask.objects.create(name=name, task="dockmgr.sweep", interval=interval, **given)
    found = scheduler.all_as_schedule()
    assert SWEEP in found and not set(LEFT_OUT) & set(found)
    for name, (_, _, reason) in LEFT_OUT.items():
        assert f"The schedule {name} is left out: {reason}" in caplog.text
        assert PeriodicTask.objects.get(name=name).enabled


def test_a_zone_that_this_machine_does_not_know_costs_its_own_entry(
    scheduler: Any, caplog: pytest.LogCaptureFixture
) -> None:
    crontab = CrontabSchedule.objects.create(minute="0", hour="4", timezone="UTC")
    PeriodicTask.objects.create(name="nightly", task="dockmgr.sweep", crontab=crontab)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_celery_beat_crontabschedule SET timezone = 'US/Pacific-New'")
    found = scheduler.all_as_schedule()
    assert SWEEP in found and "nightly" not in found
    assert "The schedule nightly is left out: The time zone of its crontab is not known" in caplog.text
    assert sweep_interval() == 900
    assert "US/Pacific-New" in str(CrontabSchedule.objects.get(pk=crontab.pk))


def test_beat_uses_this_scheduler() -> None:
    assert app.conf.beat_scheduler == "tasks.beat:Scheduler"
