"""A check that saw what was known writes its times alone, and leaves what a whole write would."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest
from django.forms.models import model_to_dict

from instances.checks import record as recording
from instances.checks.observe import Check
from instances.checks.record import record
from instances.checks.sweeps import start
from instances.health.response import Outcome
from instances.models import Health, HealthCheck, Incident, Instance
from tests.factories import World, a_check, about
from tests.rows import row

pytestmark = pytest.mark.django_db
WELL: dict[str, Any] = {
    "status": "healthy", "successes": 3, "version": "1.0.0", "container_state": "running", "http_status": 200,
}  # fmt: skip
AGO = timedelta(minutes=5)
KNOWN: dict[str, dict[str, Any]] = {
    "well": {},
    "never passed": {"successes": 0},
    "asked for a check": {"next_check_at": -AGO},
    "a restart held back": {"restart_not_before": -AGO},
    "starting": {"starting_since": -AGO},
    "down": {"status": "suspect", "down_since": -AGO, "noticed_at": -AGO, "failures": 1, "successes": 0},
    "passes again": {"status": "suspect", "down_since": -AGO, "noticed_at": -AGO, "successes": 1},
    "recovered before": {"recovered_at": -AGO, "flaps": 1, "flaps_since": -AGO},
    "by a clock that ran fast": {"last_healthy_at": AGO, "recovered_at": AGO},
    "another version": {"version": "0.9.0"},
    "another state": {"container_state": "exited"},
    "another status": {"http_status": 204},
    "failed": {"status": "failed"},
}
SEEN: dict[str, dict[str, Any]] = {
    "well": {"version": "1.0.0", "http_status": 200},
    "no version": {"http_status": 200},
    "refused": {"outcome": Outcome.FAIL, "reason": "refused"},
    "unknown": {"outcome": Outcome.UNKNOWN, "reason": "engine"},
}


def columns(known: str, now: datetime) -> dict[str, Any]:
    """Those of the health of an instance of which so much is known."""
    said = {**WELL, "last_healthy_at": -timedelta(minutes=1), **KNOWN[known]}
    return {name: now + value if isinstance(value, timedelta) else value for name, value in said.items()}


def test_it_leaves_what_a_whole_write_would(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "jitter", lambda: 0.0)
    sweep_id = str(start(world.now, 60).pk)
    instances = {known: world.instance(f"c{number}") for number, known in enumerate(KNOWN)}
    for seen, of_sweep in product(SEEN, (sweep_id, None)):
        checks = [
            about(
                a_check(world, instance, sweep_id=of_sweep, container_state="running", **SEEN[seen]),
                look=None if of_sweep else True,
            )
            for instance in instances.values()
        ]
        with row(seen, of_sweep), monkeypatch.context() as written_whole:
            left = what_is_left(world, instances, checks)
            written_whole.setattr(recording, "_only_moves_on", lambda *_: False)
            assert left == what_is_left(world, instances, checks)


def what_is_left(world: World, instances: dict[str, Instance], checks: list[Check]) -> dict[str, Any]:
    """Of what is known of each instance, and how many rows the history has, when these were recorded."""
    for model in (HealthCheck, Incident, Health):
        model.objects.all().delete()
    rows = [Health(instance=instance, **columns(known, world.now)) for known, instance in instances.items()]
    Health.objects.bulk_create(rows)
    record(checks, world.now)
    kept = Counter(HealthCheck.objects.values_list("instance_id", flat=True))
    for health in (found := list(Health.objects.order_by("pk"))):
        if health.status == "healthy":  # how often in a row does not matter any more
            health.successes = min(health.successes, 1)
    return {
        known: (model_to_dict(health), kept[health.pk])
        for known, health in zip(instances, found, strict=True)
    }


def test_a_sweep_that_saw_what_was_known_is_noted(world: World) -> None:
    instance = world.instance(**{**WELL, "revision": 7})
    sweep = start(world.now, 60)
    seen = a_check(world, instance, sweep_id=str(sweep.pk), container_state="running", **SEEN["well"])
    record([seen], world.now)
    health = Health.objects.get(pk=instance.pk)
    assert (health.last_sweep, health.checked_at, health.revision) == (sweep.pk, world.now, 8)
    assert health.successes == WELL["successes"]  # which is not counted on
