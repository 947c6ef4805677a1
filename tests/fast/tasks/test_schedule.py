"""The schedule lives in the database; the environment has its say once per change."""

from __future__ import annotations

import pytest
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from pytest_django.fixtures import Settings

from instances.models import Applied
from tasks.rhythm import Rhythm
from tasks.schedule import SWEEP, VARIABLE, apply_environment, is_scheduled, sweep_interval, sweep_rhythm

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def applied(settings: Settings) -> None:
    """As after the migration, whatever ran before."""
    PeriodicTask.objects.filter(name=SWEEP).delete()
    Applied.objects.filter(name=VARIABLE).delete()
    settings.SWEEP_INTERVAL = 900
    assert apply_environment()


def edit(seconds: int) -> None:
    interval, _ = IntervalSchedule.objects.get_or_create(every=seconds, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.filter(name=SWEEP).update(interval=interval)


def test_the_configured_interval_is_in_force() -> None:
    assert sweep_interval() == 900


def test_an_interval_edited_in_the_database_survives_restarts() -> None:
    edit(60)
    assert not apply_environment()
    assert not apply_environment()
    assert sweep_interval() == 60


@pytest.mark.parametrize("days", [999_999_999, 2**31 - 1])
def test_an_interval_that_beat_leaves_out_is_none(days: int) -> None:
    interval = IntervalSchedule.objects.create(every=days, period=IntervalSchedule.DAYS)
    PeriodicTask.objects.filter(name=SWEEP).update(interval=interval)
    assert (is_scheduled(), sweep_interval()) == (False, 900)


def test_a_changed_environment_is_applied_once(settings: Settings) -> None:
    edit(60)
    settings.SWEEP_INTERVAL = 300
    assert apply_environment()
    assert sweep_interval() == 300
    edit(45)
    assert not apply_environment()
    assert sweep_interval() == 45


def test_a_change_reaches_a_beat_that_is_running(settings: Settings) -> None:
    from django_celery_beat.models import PeriodicTasks

    before = PeriodicTasks.last_change()
    settings.SWEEP_INTERVAL = 301
    apply_environment()
    assert PeriodicTasks.last_change() > before


def test_without_an_entry_the_configured_interval_counts(settings: Settings) -> None:
    PeriodicTask.objects.filter(name=SWEEP).delete()
    settings.SWEEP_INTERVAL = 77
    assert sweep_interval() == 77


def test_an_interval_in_minutes_is_understood() -> None:
    interval = IntervalSchedule.objects.create(every=5, period=IntervalSchedule.MINUTES)
    PeriodicTask.objects.filter(name=SWEEP).update(interval=interval)
    assert sweep_interval() == 300


def test_a_crontab_has_a_rhythm_too() -> None:
    crontab = CrontabSchedule.objects.create(minute="*/5", hour="9-17", timezone="UTC")
    PeriodicTask.objects.filter(name=SWEEP).update(interval=None, crontab=crontab)
    assert sweep_rhythm() == Rhythm(300, 54_300)
    assert sweep_interval() == 54_300


def test_a_schedule_that_is_disabled_or_missing_is_none(settings: Settings) -> None:
    assert is_scheduled()
    PeriodicTask.objects.filter(name=SWEEP).update(enabled=False)
    assert (is_scheduled(), sweep_interval()) == (False, 900)
    crontab = CrontabSchedule.objects.create(minute="0", hour="0", day_of_month="30", month_of_year="2")
    PeriodicTask.objects.filter(name=SWEEP).update(enabled=True, interval=None, crontab=crontab)
    assert (is_scheduled(), sweep_interval()) == (False, 900)
    sunset = SolarSchedule.objects.create(
        event="sunset", latitude=50, longitude=8
    )  # without the library for it
    PeriodicTask.objects.filter(name=SWEEP).update(crontab=None, solar=sunset)
    assert (is_scheduled(), sweep_interval()) == (False, 900)
    PeriodicTask.objects.all().delete()
    assert (is_scheduled(), sweep_interval()) == (False, 900)


def test_a_task_of_another_name_sweeps_as_well() -> None:
    interval = IntervalSchedule.objects.create(every=7, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.create(name="mine", task="dockmgr.sweep", interval=interval)
    assert sweep_interval() == 7
