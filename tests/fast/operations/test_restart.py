"""Restarts: who may, when they are dropped, and what each end means for the instance."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django.fixtures import Settings

from instances.errors import EngineUnreachable, NotFoundOnEngine, PermanentError, RequestError, TransientError
from instances.health.state import Status
from instances.models import Health, HealthCheck, Host, Instance, Operation
from instances.operations import service
from instances.operations.attempts import TryAgain
from instances.operations.procedures import restart
from tests.factories import ASKED, IMAGE, World, health_of
from tests.fakes.facts import image_facts
from tests.fakes.outside import fails, passes
from tests.rows import row

pytestmark = pytest.mark.django_db


def unhealthy(world: World, customer_id: str = "c1", host: Host | None = None) -> Instance:
    down = {"failures": 3, "down_since": world.now, "successes": 0}
    return world.instance(customer_id, host=host, status="unhealthy", **down)


def begin(world: World, instance: Instance) -> Operation:
    operation = restart.begin_automatic(instance.pk, world.now)
    assert operation
    return operation


def test_a_restart_stops_starts_and_waits_until_healthy(world: World) -> None:
    instance = world.instance(status="failed", failures=6, restarts_used=3, down_since=world.now)
    done = world.restart()
    assert (done.status, done.automatic, done.requested_by, done.reason) == (
        "succeeded", False, "tests", "to see",
    )  # fmt: skip
    assert [step["name"] for step in done.steps] == ["stop", "recreate", "start", "wait until healthy"]
    assert done.image_before == done.image_after == instance.image_id
    health = health_of(instance)
    assert (health.status, health.failures, health.down_since) == (Status.HEALTHY, 0, None)
    assert health.last_restart_at == done.created_at
    assert health.restarts_used == 3, "what people ask for uses up no attempt"
    assert HealthCheck.objects.get().status == "healthy"
    assert (world.engine.stops, world.engine.starts) == ({"dockmgr-c1": 1}, {"dockmgr-c1": 1})


def test_a_restart_that_does_not_help_says_so_and_counts_a_failure(world: World) -> None:
    instance = unhealthy(world)
    world.probe.answers[instance.port or 0] = fails("http_503")
    done = service.run_to_end(begin(world, instance).pk, world.outside)
    health = health_of(instance)
    assert done.status == "failed"
    assert done.error == (
        "c1 did not become healthy within 5 s of its start: The answer has HTTP status 503."
    )
    assert (health.status, health.failures, health.restarts_used) == (Status.UNHEALTHY, 4, 1)
    assert health.restart_not_before
    assert health.restart_not_before - world.now >= timedelta(seconds=16)


def test_one_good_answer_is_not_yet_healthy(world: World) -> None:
    instance = world.instance()
    answers = [passes(), fails(), passes(), passes()]
    world.probe.answers[instance.port or 0] = lambda: answers.pop(0)
    assert world.restart().status == "succeeded"
    assert answers == []


def test_an_automatic_restart_finds_a_busy_instance_and_is_dropped(world: World) -> None:
    instance = unhealthy(world)
    other = service.begin_decommission("c1", ASKED, outside=world.outside)
    assert restart.begin_automatic(instance.pk, world.now) is None
    assert list(Operation.objects.all()) == [other]
    assert health_of(instance).restarts_used == 0


def test_an_automatic_restart_is_only_for_the_unhealthy(world: World) -> None:
    instance = world.instance()
    for status in set(Status) - {Status.UNHEALTHY}:
        Health.objects.update(status=status.value)
        with row(status):
            assert restart.begin_automatic(instance.pk, world.now) is None
    assert not Operation.objects.exists()


def test_an_automatic_restart_beyond_the_limit_is_dropped(world: World) -> None:
    instance = unhealthy(world)
    Health.objects.update(restarts_used=3)
    assert restart.begin_automatic(instance.pk, world.now) is None


def test_the_attempt_is_counted_before_anything_is_touched(world: World) -> None:
    instance = unhealthy(world)
    begin(world, instance)
    health = health_of(instance)
    assert (health.restarts_used, health.status) == (1, Status.RESTARTING)
    assert (world.engine.stops, world.engine.starts) == ({}, {})


def test_no_more_than_four_automatic_restarts_of_a_host_at_once(world: World) -> None:
    instances = [unhealthy(world, f"c{number}") for number in range(5)]
    far = Host.objects.create(name="far", docker_url="unix:///fake/far.sock")
    elsewhere = unhealthy(world, "elsewhere", far)
    begun = [restart.begin_automatic(instance.pk, world.now) for instance in instances]
    assert [operation is not None for operation in begun] == [True] * 4 + [False]
    waiting = health_of(instances[4])
    assert (waiting.status, waiting.restarts_used) == (Status.UNHEALTHY, 0)
    assert waiting.next_check_at == world.now + timedelta(seconds=5)
    assert restart.begin_automatic(elsewhere.pk, world.now)
    assert begun[0]
    service.run_to_end(begun[0].pk, world.outside)
    assert restart.begin_automatic(instances[4].pk, world.now)


def test_manual_restarts_take_no_share_of_the_host(world: World, settings: Settings) -> None:
    settings.RESTARTS_PER_HOST = 1
    world.instance("m1")
    service.begin_restart("m1", ASKED, world.outside)
    begin(world, unhealthy(world, "c1"))
    assert restart.begin_automatic(unhealthy(world, "c2").pk, world.now) is None


def test_a_wait_puts_the_operation_down_for_others_to_see(world: World) -> None:
    operation = begin(world, unhealthy(world))
    world.engine.fail_next("stop", TransientError("The engine is out of sorts."))
    with pytest.raises(TryAgain) as pause:
        service.run_once(operation.pk, world.outside)
    operation.refresh_from_db()
    assert (operation.lease_owner, operation.tries, operation.status) == ("", 1, "running")
    assert 1.5 < pause.value.seconds < 2.5
    assert [(s["name"], s["status"], s["detail"]) for s in operation.steps] == [
        ("stop", "failed", "The engine is out of sorts.")
    ]


def test_transient_failures_are_given_up_in_the_end_after_growing_waits(world: World) -> None:
    instance = unhealthy(world)
    for _ in range(4):
        world.engine.fail_next("stop", TransientError("The engine is out of sorts."))
    done = service.run_to_end(begin(world, instance).pk, world.outside)
    assert (done.status, done.error) == ("failed", "The engine is out of sorts.")
    assert health_of(instance).status == Status.UNHEALTHY
    waits = [seconds for seconds in world.clock.slept if seconds > 1]
    assert [wait == pytest.approx(usual, rel=0.25) for wait, usual in zip(waits, (2, 6, 18), strict=True)]


def test_a_permanent_failure_is_not_tried_again(world: World) -> None:
    instance = unhealthy(world)
    world.engine.fail_next("start", PermanentError("The engine refuses."))
    done = service.run_to_end(begin(world, instance).pk, world.outside)
    assert (done.status, done.error) == ("failed", "The engine refuses.")
    assert world.clock.slept == []
    assert health_of(instance).failures == 4


def test_a_start_for_which_something_else_is_gone_is_told_as_that(world: World) -> None:
    instance = world.instance()
    world.engine.fail_next("start", NotFoundOnEngine("There is no container vpn."))
    done = world.restart()
    assert (done.status, done.error) == ("failed", "There is no container vpn.")
    assert world.engine.inspect(instance.container_id)


def test_an_engine_out_of_reach_gives_the_attempt_back(world: World) -> None:
    instance = unhealthy(world)
    operation = begin(world, instance)
    world.engine.unreachable = True
    done = service.run_to_end(operation.pk, world.outside)
    health = health_of(instance)
    assert (done.status, done.finished_at) == ("failed", world.now)
    assert (health.status, health.restarts_used, health.failures) == (Status.UNKNOWN, 0, 3)
    assert health.next_check_at


def test_an_engine_that_dies_during_the_gate_gives_the_attempt_back(world: World) -> None:
    instance = unhealthy(world)
    world.probe.answers[instance.port or 0] = fails("timeout")
    operation = begin(world, instance)
    world.clock.at(3, lambda: setattr(world.engine, "unreachable", True))
    done = service.run_to_end(operation.pk, world.outside)
    assert done.status == "failed"
    assert (health_of(instance).status, health_of(instance).restarts_used) == (Status.UNKNOWN, 0)


def test_a_manual_restart_out_of_reach_gives_no_attempt_back(world: World) -> None:
    instance = world.instance(status="unhealthy", failures=3, restarts_used=2, down_since=world.now)
    operation = service.begin_restart("c1", ASKED, world.outside)
    world.engine.unreachable = True
    assert service.run_to_end(operation.pk, world.outside).status == "failed"
    assert health_of(instance).restarts_used == 2


def test_a_short_outage_of_the_engine_is_waited_out(world: World) -> None:
    instance = unhealthy(world)
    world.engine.unreachable = True
    world.clock.at(4, lambda: setattr(world.engine, "unreachable", False))
    done = service.run_to_end(begin(world, instance).pk, world.outside)
    assert (done.status, health_of(instance).status) == ("succeeded", Status.HEALTHY)
    assert world.engine.starts == {"dockmgr-c1": 1}
    assert health_of(instance).restarts_used == 1


def test_a_lost_container_runs_the_image_it_ran_and_not_a_newer_one(world: World) -> None:
    instance = world.instance()
    world.engine.lose(instance.container_name)
    world.engine.images[IMAGE] = image_facts("agent-2")
    world.engine.images["old"] = image_facts("agent-1")
    world.restart()
    facts = world.engine.inspect(instance.container_name)
    assert facts
    assert facts.image_id == instance.image_id
    assert world.engine.pulls == []


def test_a_container_that_is_being_removed_is_made_anew_once_it_is_gone(world: World) -> None:
    instance = world.instance()
    world.engine.change(instance.container_id, state="removing")
    world.clock.at(5, lambda: world.engine.lose(instance.container_id))
    done = world.restart()
    assert done.status == "succeeded"
    assert world.engine.containers == [instance.container_name]


def test_a_strangers_container_under_our_name_is_never_touched(world: World) -> None:
    instance = world.instance()
    world.stranger_takes_over(instance)
    done = world.restart()
    assert done.status == "failed"
    assert "a container that this dockmgr did not make" in done.error
    assert world.engine.containers == [instance.container_name]
    assert (world.engine.starts, world.engine.stops) == ({}, {})


def test_what_a_restart_made_before_it_gave_up_is_not_in_the_way_of_the_next(world: World) -> None:
    instance = world.instance()
    world.engine.lose(instance.container_name)
    create = world.engine.create

    def answer_lost(spec: object) -> str:
        create(spec)  # type: ignore[arg-type]
        world.engine.unreachable = True
        raise EngineUnreachable("The engine did not answer in time.")

    world.engine.create = answer_lost  # type: ignore[method-assign]
    assert world.restart().status == "failed"
    world.engine.unreachable = False
    world.engine.create = create  # type: ignore[method-assign]
    world.clock.advance(300)
    done = world.restart()
    assert (done.status, done.error) == ("succeeded", "")
    assert health_of(instance).status == Status.HEALTHY


def test_a_stranger_on_the_port_of_a_stopped_container_makes_it_move(world: World) -> None:
    instance = world.instance()
    assert instance.port
    Host.objects.update(first_port=instance.port - 10, last_port=instance.port)
    world.engine.change(instance.container_name, state="exited")
    world.engine.taken_ports.add(("0.0.0.0", instance.port))
    assert world.restart().status == "succeeded"
    moved = Instance.objects.get()
    assert moved.port == instance.port - 10, "behind the last port comes the first one"
    assert [port.number for port in moved.ports.all()] == [moved.port]
    assert len(world.engine.containers) == 1


def test_the_restart_of_an_unknown_customer_is_refused(world: World) -> None:
    with pytest.raises(RequestError, match=r"^There is no instance of customer nobody\.$"):
        service.begin_restart("nobody", ASKED, world.outside)


def test_a_clock_that_is_set_back_keeps_no_gate_waiting(world: World) -> None:
    instance = unhealthy(world)
    world.probe.answers[instance.port or 0] = fails("http_503")
    operation = begin(world, instance)
    world.clock.at(3, lambda: world.clock.step(-7200))
    assert service.run_to_end(operation.pk, world.outside).status == "failed"
    assert world.clock.elapsed() < 60
