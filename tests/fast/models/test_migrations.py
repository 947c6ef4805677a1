"""The schema matches the models, and what a new installation starts with is there."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django_celery_beat.models import PeriodicTask
from pytest_django.fixtures import Settings

from instances.models import Host, Plan
from tasks.schedule import apply_environment, sweep_interval

pytestmark = pytest.mark.django_db
fill: Any = import_module("instances.migrations.0001_squashed_0039_outside").fill


def test_no_migration_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("makemigrations", "--check", "--dry-run")
    assert "No changes detected" in capsys.readouterr().out


def test_the_three_plans_exist_with_their_limits() -> None:
    plans = Plan.objects.order_by("memory").values_list("name", "cpus", "memory")
    assert list(plans) == [
        ("free", 0.5, 512 * 1024**2),
        ("pro", 2.0, 2 * 1024**3),
        ("enterprise", 4.0, 4 * 1024**3),
    ]


def test_the_default_host_stands_for_the_environments_engine(settings: Settings) -> None:
    settings.DOCKER_HOST = "unix:///elsewhere.sock"
    host = Host.objects.get()
    assert (host.name, host.engine_url, host.bind_address) == ("local", "unix:///elsewhere.sock", "127.0.0.1")


def test_the_clockwork_is_scheduled_and_known_to_the_workers() -> None:
    from tasks.app import app

    entries = PeriodicTask.objects.exclude(task="celery.backend_cleanup")
    assert {entry.task for entry in entries} >= {
        "dockmgr.sweep", "dockmgr.follow_up", "dockmgr.recover", "dockmgr.purge_history",
    }  # fmt: skip
    app.loader.import_default_modules()
    assert {entry.task for entry in entries} <= set(app.tasks)


def test_a_fresh_installation_sweeps_at_the_configured_interval(settings: Settings) -> None:
    assert sweep_interval() == settings.SWEEP_INTERVAL
    assert not apply_environment()


def test_filling_again_overwrites_no_edit() -> None:
    Plan.objects.filter(name="free").update(cpus=0.25)
    fill(apps, None)
    assert Plan.objects.get(name="free").cpus == 0.25
    assert Plan.objects.count() == 3
