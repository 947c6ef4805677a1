"""A check that saw what was known writes its times alone, and leaves what a whole write would."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.forms.models import model_to_dict

from instances.checks import record as recording
from instances.checks.record import record
from instances.checks.sweeps import start
from instances.health.response import Outcome
from instances.models import Health, HealthCheck, Instance
from tests.factories import World, a_check, about

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
    said = {**WELL, **KNOWN[known]}
    return {name: now + value if isinstance(value, timedelta) else value for name, value in said.items()}


@pytest.mark.parametrize("sweep", [True, False], ids=["sweep", "look"])
@pytest.mark.parametrize("seen", SEEN)
def test_it_leaves_what_a_whole_write_would(
    world: World, monkeypatch: pytest.MonkeyPatch, seen: str, sweep: bool
) -> None:
    monkeypatch.setattr(recording, "jitter", lambda: 0.0)
    sweep_id = str(start(world.now, 60).pk) if sweep else None
    left = []
    for way in ("c1", "c2"):
        rows = [
            world.instance(f"{way}-{number}", **columns(known, world.now))
            for number, known in enumerate(KNOWN)
        ]
        checks = [
            a_check(world, row, sweep_id=sweep_id, container_state="running", **SEEN[seen]) for row in rows
        ]
        record([about(check, look=None if sweep else True) for check in checks], world.now)
        left.append({known: what_is_left(row) for known, row in zip(KNOWN, rows, strict=True)})
        monkeypatch.setattr(recording, "_only_moves_on", lambda *_: False)
    assert left[0] == left[1]


def what_is_left(instance: Instance) -> tuple[dict[str, Any], int]:
    health = model_to_dict(Health.objects.get(pk=instance.pk), exclude=["instance", "successes"])
    return health, HealthCheck.objects.filter(instance_id=instance.pk).count()


def test_a_sweep_that_saw_what_was_known_is_noted(world: World) -> None:
    instance = world.instance(**{**WELL, "revision": 7})
    sweep = start(world.now, 60)
    seen = a_check(world, instance, sweep_id=str(sweep.pk), container_state="running", **SEEN["well"])
    record([seen], world.now)
    health = Health.objects.get(pk=instance.pk)
    assert (health.last_sweep, health.checked_at, health.revision) == (sweep.pk, world.now, 8)
    assert health.successes == WELL["successes"]  # which is not counted on
