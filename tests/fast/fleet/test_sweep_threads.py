"""The sweep with its real threads and the real clock."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django.fixtures import Settings

from instances.db.clock import SYSTEM
from instances.fleet.sweep import sweep_here
from instances.models import Operation
from instances.outside import Outside
from tests.factories import World

pytestmark = pytest.mark.django_db(transaction=True)


def on_real_time(world: World) -> Outside:
    parts: Any = world.outside
    return Outside(engines=parts.engines, clock=SYSTEM, probe=parts.probe)


def test_threads_heal_several_instances_at_once(world: World, settings: Settings) -> None:
    settings.RECHECK_INTERVAL, settings.SUCCESS_THRESHOLD = 0.1, 1
    instances = [world.instance(f"c{number}") for number in range(6)]
    for instance in instances[:3]:
        world.engine.change(instance.container_name, state="exited")
    report = sweep_here("tests", on_real_time(world))
    assert {row.status for row in report.rows} == {"healthy"}
    assert world.engine.starts == {instance.container_name: 1 for instance in instances[:3]}
    assert Operation.objects.filter(status="succeeded").count() == 3


def test_progress_is_told_as_checks_come_in_and_at_the_end(world: World) -> None:
    for number in range(3):
        world.instance(f"c{number}")
    told: list[tuple[int, int, str]] = []
    sweep_here("tests", on_real_time(world), lambda *what: told.append(what))
    assert told == [(3, 3, "checked"), (3, 3, "settled")]
