"""A container about which its engine answers with a failure each time, as after a disk that lost files."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from instances.checks.check_requests import request_as_listed
from instances.checks.observe import observe
from instances.checks.record import record
from instances.errors import DockmgrError, EngineUnreachable, TransientError
from instances.health.assess import with_the_last
from instances.health.response import Outcome
from instances.models import Instance
from instances.monitoring.loop import Monitor
from tests.factories import World, a_check, health_of
from tests.fakes.outside import fails
from tests.fast.conftest import Run
from tests.fast.telling import a_channel, outbox

pytestmark = pytest.mark.django_db
REFUSES = TransientError("readlink /var/lib/docker/overlay2/l: invalid argument")


@pytest.fixture(autouse=True)
def thresholds(settings: Settings) -> None:
    settings.FAILURE_THRESHOLD, settings.HOLD, settings.CRITICAL_AFTER = 3, 30, 120


def look(world: World, instance: Instance, error: DockmgrError | None = REFUSES) -> str:
    """One look, half a minute after the last one, and what it makes of the instance."""
    world.clock.advance(30)
    if error:
        world.engine.fail_next("inspect", error)
    request = request_as_listed(instance, world.outside.engines)
    record([observe(request, world.outside, 5)], world.now)
    Monitor(world.outside).tick()
    return health_of(instance).status


def test_a_customer_who_does_not_answer_is_told_of_though_his_engine_refuses_to_say_why(world: World) -> None:
    a_channel(min_level="warning")
    instance = world.instance()
    world.probe.answers[instance.port or 0] = fails()
    assert [look(world, instance) for _ in range(4)] == ["unknown", "suspect", "suspect", "unhealthy"]
    assert health_of(instance).reason == "engine_refused"
    for _ in range(5):
        look(world, instance)
    assert outbox() == ["ops opened warning c1", "ops escalated critical c1"]


def test_a_container_that_ended_by_its_list_is_told_of_as_well(world: World) -> None:
    instance = world.instance()
    world.engine.change(instance.container_name, state="exited")
    assert [look(world, instance) for _ in range(4)][-1] == "unhealthy"


def test_an_engine_that_refuses_once_or_is_away_says_nothing_of_the_customer(world: World) -> None:
    instance = world.instance()
    world.probe.answers[instance.port or 0] = fails()
    away = EngineUnreachable("It does not answer.")
    assert [look(world, instance, error) for error in (REFUSES, away, REFUSES, away)] == ["unknown"] * 4
    assert health_of(instance).failures == 0


def test_a_command_tells_a_refusal_as_an_engine_that_could_not_be_asked(world: World, run: Run) -> None:
    instance = world.instance()
    world.probe.answers[instance.port or 0] = fails()
    world.engine.fail_next("inspect", REFUSES)
    ran = run("check_health", "--customer-id", "c1", "--json")
    assert (ran.code, ran.document["unknown"], ran.document["unhealthy"]) == (3, 1, 0)


def test_who_answers_is_well_whatever_his_engine_refuses(world: World) -> None:
    instance = world.instance()
    assert [look(world, instance) for _ in range(3)] == ["healthy"] * 3


@pytest.mark.parametrize(
    ("reason", "before", "outcome"),
    [
        ("engine_refused", "engine_refused", Outcome.FAIL),
        ("engine_refused", "http_503", Outcome.UNKNOWN),
        ("engine_refused", "engine", Outcome.UNKNOWN),
        ("engine", "engine", Outcome.UNKNOWN),
        ("paused", "paused", Outcome.UNKNOWN),
    ],
)
def test_only_a_refusal_that_is_repeated_is_a_failure(
    world: World, reason: str, before: str, outcome: Outcome
) -> None:
    check = a_check(world, world.instance(), Outcome.UNKNOWN, reason)
    assert with_the_last(check.seen, before).outcome is outcome
