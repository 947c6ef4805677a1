"""A check that does not count says what it saw, and why it did not count: command, task, desk."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from instances.models import Instance, Operation
from instances.operations import service
from tasks import checks
from tests.factories import ASKED, World, health_of
from tests.fakes.outside import fails
from tests.fast.conftest import Run

pytestmark = pytest.mark.django_db
Change = Callable[[Instance], object]


def pause(instance: Instance) -> None:
    service.pause(instance.customer_id)


def begin_restart(instance: Instance) -> None:
    """As far as the step that cuts the customer off."""
    operation = service.begin_restart(instance.customer_id, ASKED)
    Operation.objects.filter(pk=operation.pk).update(interrupts=True)


WAYS = [(pause, "paused"), (begin_restart, "being changed by an operation")]


@pytest.mark.parametrize(("change", "why"), WAYS)
def test_the_command_answers_what_it_saw_and_why_it_did_not_count(
    world: World, run: Run, change: Change, why: str
) -> None:
    instance = world.instance("c1", http_status=200, latency_ms=6)
    world.probe.answers[instance.port or 0] = fails("http_503")
    change(instance)
    ran = run("check_health", "--customer-id", "c1", "--json")
    [check] = ran.document["instances"]
    assert (check["applied"], check["not_applied"]) == (False, why)
    assert (check["healthy"], check["reason"]) == (False, "http_503")
    assert check["checked_at"] is not None and ran.code == 1
    assert (ran.document["healthy"], health_of(instance).failures) == (0, 0)


def test_people_are_told_so_in_a_sentence(world: World, run: Run) -> None:
    pause(world.instance("c1"))
    assert "c1: what was seen does not count: paused" in run("check_health", "--customer-id", "c1").out


def test_an_engine_out_of_reach_is_said_though_it_does_not_count(world: World, run: Run) -> None:
    instance = world.instance("c1")
    pause(instance)
    world.engine.unreachable = True
    world.probe.answers[instance.port or 0] = fails("timeout")
    assert run("check_health", "--customer-id", "c1").code == 3


@pytest.mark.django_db(transaction=True)
def test_the_task_answers_the_same(world: World) -> None:
    instance = world.instance("c1")
    applied = checks.check_health("c1")
    assert applied is not None and (applied["applied"], applied["not_applied"]) == (True, None)
    pause(instance)
    made = checks.check_health("c1")
    assert made is not None and (made["status"], made["not_applied"]) == ("paused", "paused")
