"""Adoption looks once, and nothing is healed that was never healthy."""

from __future__ import annotations

from typing import Any

import pytest

from instances.checks.record import record
from instances.health.state import NEVER_HEALTHY
from instances.models import Health, Incident, Instance, Notification, Operation
from instances.operations.procedures.restart import begin_automatic
from tests.factories import World, a_check, a_failure
from tests.fakes.outside import Answer, fails, passes, starts
from tests.fast.conftest import Run
from tests.fast.strangers import NAME, PORT, existing, words
from tests.fast.telling import a_channel
from tests.rows import row

pytestmark = pytest.mark.django_db

ELSEWHERE = {"8080/tcp": [{"HostIp": "172.29.7.1", "HostPort": str(PORT)}]}
URL = f"http://127.0.0.1:{PORT}/healthz"
LOOKS: dict[str, tuple[Answer, dict[str, Any], str]] = {
    "an answer that is none": (fails("http_404"), {}, f"at {URL} the answer has HTTP status 404; "),
    "a container that starts": (starts(), {}, f"at {URL} it is still starting; "),
    "nothing where it is asked": (
        fails("refused"), {"PortBindings": ELSEWHERE},
        f"the port; it is published on 172.29.7.1:{PORT}, and dockmgr asks at 127.0.0.1; ",
    ),
    "somebody else where it is asked": (
        passes(), {"PortBindings": ELSEWHERE},
        f"something else answers; it is published on 172.29.7.1:{PORT}, and dockmgr asks at 127.0.0.1; ",
    ),
}  # fmt: skip


def test_what_does_not_answer_well_is_adopted_by_force_alone(world: World, run: Run) -> None:
    for answer, host, said in LOOKS.values():
        with row(said):
            existing(world, **host)
            world.probe.answers[PORT] = answer
            ran = run(*words(), "--json")
            assert (ran.code, ran.document["error"].count("\n")) == (1, 0)
            assert said in ran.document["error"] and "--force" in ran.document["error"]
            world.engine.lose(NAME)
    assert not Instance.objects.exists() and not Operation.objects.exists()
    existing(world, PortBindings=ELSEWHERE)
    forced = run(*words(), "--json", "--force")
    assert (forced.code, forced.document["never_healthy"], forced.document["status"]) == (0, True, "unknown")


def test_what_is_well_is_known_to_have_been_healthy(world: World, run: Run) -> None:
    existing(world)
    assert run(*words(), "--json").document["never_healthy"] is False


def test_what_was_never_healthy_is_told_and_not_restarted(world: World, run: Run) -> None:
    world.clock.coarse = 20
    existing(world, PortBindings=ELSEWHERE)
    a_channel()
    world.probe.answers[PORT] = fails("refused")
    assert NEVER_HEALTHY in run(*words(), "--force").out
    validation = run("validate", "--customer-id", "c1", "--json").document
    assert {"code": "never_healthy", "message": NEVER_HEALTHY} in validation["warnings"]
    ran = run("daily_health", "--json")
    assert (ran.code, ran.document["restarted"]) == (1, [])
    assert ran.document["instances"][0]["status"] == "unhealthy"
    assert begin_automatic(Instance.objects.get().pk, world.now) is None
    assert (world.engine.starts, world.engine.stops) == ({}, {})
    assert Incident.objects.get().severity == "warning"
    [told] = Notification.objects.all()
    assert "never seen healthy" in told.payload["message"]
    assert "manage.py restart --customer-id c1" in told.payload["next_step"]


def test_once_it_was_healthy_it_is_healed_as_any_other(world: World, run: Run) -> None:
    existing(world)
    world.probe.answers[PORT] = fails()
    run(*words(), "--force")
    instance = Instance.objects.get()
    for outcome, restart in (("exited", False), ("", False), ("exited", True)):
        world.clock.advance(60)
        check = a_failure(world, instance, outcome) if outcome else a_check(world, instance)
        [recorded], _ = record([check], world.now)
        assert recorded.verdict and recorded.verdict.restart is restart
        assert bool(begin_automatic(instance.pk, world.now)) is restart


def test_a_restart_by_hand_is_always_allowed(world: World, run: Run) -> None:
    existing(world)
    world.probe.answers[PORT] = fails()
    run(*words(), "--force")
    assert world.restart().status == "failed"
    world.probe.answers[PORT] = passes()
    assert world.restart().status == "succeeded"
    assert Health.objects.get().restarts_used == 0
