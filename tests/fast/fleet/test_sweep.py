"""The sweep in the calling process: what is down is healed, what can't be helped is left to people."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from pytest_django.fixtures import Settings

from instances.checks import sweeps
from instances.checks.due import claim_due
from instances.checks.roster import Roster
from instances.engine import pool
from instances.errors import BusyError, DataMissing, EngineUnreachable
from instances.fleet import sweep as sweeping
from instances.fleet.sweep import check_here, sweep_here
from instances.fleet.sweep_report import SweepReport
from instances.models import Health, HealthCheck, Host, Instance, Operation, Sweep
from instances.operations import journal, service
from instances.operations.procedures import restart
from tests.factories import ASKED, World, health_of, interrupt
from tests.fakes.outside import fails, passes
from tests.fast.inline import InlineExecutor
from tests.fast.updates import begin as begin_update

pytestmark = pytest.mark.django_db

STOPPED = {"name": "stop old", "status": "done", "started_at": "", "finished_at": "", "detail": ""}


@pytest.fixture(autouse=True)
def one_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "ThreadPoolExecutor", InlineExecutor)
    world.clock.coarse = 20


def sweep(world: World) -> SweepReport:
    return sweep_here("tests", world.outside)


def kill(world: World, instance: Instance) -> None:
    world.engine.change(instance.container_name, state="exited", exit_code=137)


def answers_503_until_it_is_started(world: World, instance: Instance) -> None:
    starts, port = world.engine.starts, instance.port or 0
    world.probe.answers[port] = lambda: passes() if starts[instance.container_name] else fails()


def test_what_is_down_is_restarted_once_and_healthy_at_the_end(world: World) -> None:
    instance, neighbour = world.instance("c1"), world.instance("c2")
    answers_503_until_it_is_started(world, instance)
    report = sweep(world)
    assert {row.instance.customer_id: row.status for row in report.rows} == {"c1": "healthy", "c2": "healthy"}
    assert [(o.customer_id, o.status, o.automatic) for o in report.restarts] == [("c1", "succeeded", True)]
    assert world.engine.starts == {instance.container_name: 1}
    assert world.engine.containers == [instance.container_name, neighbour.container_name]
    assert health_of(instance).restarts_used == 1
    assert report.sweep.pk == Sweep.objects.get(state="finished").pk


@pytest.mark.django_db(transaction=True)
def test_a_restart_that_meets_the_locks_of_others_is_begun_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = world.instance()
    kill(world, instance)
    real, refusals = restart.begin_automatic, [OperationalError("canceling statement due to lock timeout")]

    def begin_automatic(*asked: Any) -> Operation | None:
        if refusals:
            raise refusals.pop()
        return real(*asked)

    monkeypatch.setattr(restart, "begin_automatic", begin_automatic)
    assert [row.status for row in sweep(world).rows] == ["healthy"]
    assert not refusals


def test_a_lost_container_comes_back_on_its_volume_port_and_image(world: World) -> None:
    instance = world.instance()
    world.engine.lose(instance.container_name)
    report = sweep(world)
    assert [(o.status, o.automatic) for o in report.restarts] == [("succeeded", True)]
    facts, row = world.engine.inspect(instance.container_name), Instance.objects.get()
    assert facts is not None
    assert (facts.id, facts.image_id, row.port) == (row.container_id, instance.image_id, instance.port)
    assert facts.volumes == {instance.volume_name: "/data"}


def test_one_failed_probe_restarts_nothing(world: World) -> None:
    instance, answers = world.instance(), [fails("timeout"), passes(), passes()]
    world.probe.answers[instance.port or 0] = lambda: answers.pop(0)
    report = sweep(world)
    assert (report.rows[0].status, report.restarts, world.engine.starts) == ("healthy", [], {})
    assert list(HealthCheck.objects.order_by("id").values_list("status", flat=True)) == [
        "suspect",
        "suspect",
        "healthy",
    ]


def test_what_stays_broken_has_three_restarts_and_then_one_every_now_and_then(world: World) -> None:
    instance = world.instance(status="suspect", failures=2, down_since=world.now, restarts_used=1)
    world.probe.answers[instance.port or 0] = fails()
    report = sweep(world)
    [second, third] = report.restarts
    assert (second.status, third.status) == ("failed", "failed")
    assert (report.rows[0].status, report.rows[0].restarts_used) == ("failed", 3)
    document = report.document()
    assert (document["unhealthy"], document["restarted"], len(document["restarts"])) == (1, ["c1"], 2)
    assert (third.created_at - second.created_at).total_seconds() >= 32 + 5
    world.clock.advance(700)
    again = sweep(world)
    assert (again.rows[0].status, again.restarts) == ("failed", [])
    assert world.engine.starts == {instance.container_name: 2}
    world.clock.advance(400)
    [slow] = sweep(world).restarts
    assert (slow.status, slow.reason.endswith("tried again after giving up")) == ("failed", True)


def test_what_was_given_up_may_recover_by_itself(world: World) -> None:
    instance = world.instance(status="failed", failures=6, restarts_used=3, down_since=world.now)
    report = sweep(world)
    assert (report.rows[0].status, report.restarts) == ("healthy", [])
    assert health_of(instance).down_since is None


def test_an_engine_out_of_reach_is_unknown_and_its_instances_are_untouched(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "REST_SECONDS", 0.0)
    down = [world.instance(f"c{n}", failures=2, status="suspect", down_since=world.now) for n in range(2)]
    world.engine.unreachable = True
    for instance in down:
        world.probe.answers[instance.port or 0] = fails("timeout")
    report = sweep(world)
    assert {(row.status, row.reason, row.failures, row.restarts_used) for row in report.rows} == {
        ("unknown", "engine", 2, 0)
    }
    assert (report.restarts, Operation.objects.count()) == ([], 0)
    world.engine.unreachable = False
    world.probe.answers.clear()
    world.clock.advance(900)
    after = sweep(world)
    assert {row.status for row in after.rows} == {"healthy"}
    assert (after.restarts, world.engine.starts) == ([], {})


def test_an_engine_that_dies_before_an_automatic_restart_costs_no_attempt(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "REST_SECONDS", 0.0)
    instance = world.instance()
    kill(world, instance)
    checks = list(check_here(Roster.of_rows([instance]), world.outside))
    assert checks[0].verdict and checks[0].verdict.restart
    operation = restart.begin_automatic(instance.pk, world.now)
    assert operation
    assert health_of(instance).restarts_used == 1
    world.engine.unreachable = True
    done = service.run_to_end(operation.pk, world.outside)
    assert (done.status, done.facts["host_trouble"]) == ("failed", True)
    assert (health_of(instance).status, health_of(instance).restarts_used) == ("unknown", 0)


@pytest.mark.parametrize("part", ["ask_before_looking", "check_here", "health_rows"])
def test_a_sweep_that_was_broken_off_has_not_finished_and_does_not_block_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def broken_off(*_: object) -> None:
        raise KeyboardInterrupt

    world.instance()
    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(sweeping, part, broken_off)
        sweep(world)
    row = Sweep.objects.get()
    assert (row.state, row.finished_at) == ("finished" if row.done else "incomplete", world.now)
    sweeps.start(world.now, 900, by="cli:ann", attended=True)


def test_paused_instances_are_left_alone(world: World) -> None:
    instance = world.instance()
    service.pause("c1")
    kill(world, instance)
    report = sweep(world)
    assert report.rows == []
    assert (health_of(instance).status, world.engine.starts) == ("paused", {})
    assert not HealthCheck.objects.exists()


def test_a_busy_instance_is_left_alone_until_its_operation_ends(world: World) -> None:
    instance = world.instance()
    kill(world, instance)
    operation = service.begin_restart("c1", ASKED, world.outside)
    holder = journal.Journal.claim(operation.pk, world.clock)
    assert holder
    world.clock.at(3, lambda: _passed(instance))
    world.clock.at(3, lambda: holder.close("succeeded"))
    world.clock.at(3, lambda: world.engine.start(instance.container_name))
    report = sweep(world)
    assert (report.rows[0].status, report.restarts) == ("healthy", [])
    assert world.engine.starts == {instance.container_name: 1}


def _passed(instance: Instance) -> None:
    Health.objects.filter(pk=instance.pk).update(status="healthy")


def test_an_operation_whose_process_dies_during_the_sweep_is_seen_through(world: World) -> None:
    instance = world.instance()
    interrupt(service.begin_restart("c1", ASKED, world.outside), world)
    world.engine.stop(instance.container_name, 1)
    began, world.clock.coarse = world.now, 5.0
    report = sweep(world)
    assert report.rows[0].status == "healthy"
    assert Operation.objects.get().status == "succeeded"
    assert world.now - began < timedelta(minutes=5)
    assert world.engine.starts == {instance.container_name: 1}


def test_an_operation_abandoned_before_the_sweep_is_seen_through_first(world: World) -> None:
    instance = world.instance()
    service.begin_restart("c1", ASKED, world.outside)
    world.clock.advance(120)
    report = sweep(world)
    assert (report.rows[0].status, Operation.objects.get().status) == ("healthy", "succeeded")
    assert world.engine.starts == {instance.container_name: 1}


def test_nobody_waits_for_an_operation_that_does_not_end(world: World) -> None:
    stuck, down = world.instance("c1", status="suspect", failures=1), world.instance("c2")
    operation = begin_update(world)
    Operation.objects.filter(pk=operation.pk).update(undoing=True, steps=[STOPPED], facts={"new_image": "?"})
    kill(world, down)
    world.clock.advance(120)
    for _ in range(1000):
        world.engine.fail_next("set_restart_policy", EngineUnreachable("The engine does not answer."))
    Operation.objects.update(facts={"new_image": "?", "old_policy": {"Name": "always"}})
    began = world.now
    report = sweep(world)
    assert world.now - began < timedelta(minutes=2)
    assert {row.instance.customer_id: row.status for row in report.rows} == {"c1": "healthy", "c2": "healthy"}
    assert Operation.objects.get(pk=operation.pk).tries > 0
    assert service.recover(world.outside) == []
    assert world.now - began < timedelta(minutes=2)
    assert health_of(stuck).failures == 0


def test_what_is_wrong_with_one_operation_stops_no_sweep(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world.instance("c1")
    world.instance("c2")
    begin_update(world)
    world.clock.advance(120)

    def breaks(*_: Any) -> None:
        raise ValueError("nobody thought of that")

    monkeypatch.setattr(service, "run_once", breaks)
    assert len(sweep(world).rows) == 2
    assert "update of c1 is not over: ValueError at test_sweep.py:" in caplog.text


def test_a_second_attended_sweep_is_refused(world: World) -> None:
    sweeps.start(world.now, 900, by="cli:ann", attended=True)
    with pytest.raises(BusyError, match="A sweep is already running"):
        sweep(world)


def test_the_sweep_of_the_workers_is_waited_for(world: World) -> None:
    world.instance()
    running = sweeps.start(world.now, 900)
    world.clock.at(7, lambda: sweeps.finish(running, world.now))
    report = sweep(world)
    assert report.sweep.started_at >= running.started_at + timedelta(seconds=7)
    assert report.rows[0].status == "healthy"


def test_a_host_that_is_asked_all_the_time_keeps_no_sweep_from_its_end(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.HOST_INTERVAL = settings.HOST_ASK_INTERVAL = 1
    settings.WATCH_INTERVAL = 2
    world.instance()
    began = world.now
    monkeypatch.setattr(world.engine, "ping", lambda: world.clock.advance(1.2))
    sweep_here("test", world.outside)
    assert (world.now - began).total_seconds() < 10


def test_a_fleet_of_nobody_is_swept_at_once(world: World) -> None:
    report = sweep(world)
    assert report.document()["instances"] == []
    assert (Sweep.objects.get().state, Sweep.objects.get().total) == ("finished", 0)


def test_the_report_counts_and_names_what_was_restarted(world: World) -> None:
    healed, also = world.instance("healed"), world.instance("also")
    broken = world.instance("broken", status="failed", failures=6, restarts_used=3, down_since=world.now)
    world.instance("well")
    kill(world, healed)
    kill(world, also)
    world.probe.answers[broken.port or 0] = fails()
    document = sweep(world).document()
    assert world.engine.starts == {healed.container_name: 1, also.container_name: 1}
    assert set(document) == {
        "sweep_id", "instances", "healthy", "unhealthy", "unknown", "restarted", "restarts", "seconds",
    }  # fmt: skip
    assert (document["healthy"], document["unhealthy"], document["unknown"]) == (3, 1, 0)
    assert document["restarted"] == ["also", "healed"]
    assert [row["customer_id"] for row in document["instances"]] == ["also", "broken", "healed", "well"]


def test_a_restart_that_was_refused_is_none_of_those_restarted(world: World) -> None:
    kill(world, world.instance("lost"))
    world.engine.fail_next("start", DataMissing("error evaluating symlinks from mount source"))
    document = sweep(world).document()
    assert (document["unhealthy"], document["restarted"]) == (1, [])
    assert [row["status"] for row in document["restarts"]] == ["failed"]


def test_the_state_file_is_written_after_the_sweep(world: World, settings: Settings) -> None:
    world.instance()
    sweep(world)
    state = json.loads(Path(settings.STATE_FILE).read_text())
    assert state["lastHealthCheck"] == int(world.now.timestamp())


def test_a_due_check_is_claimed_once(world: World) -> None:
    instance = world.instance(status="suspect", next_check_at=world.now)
    world.instance("c2", status="suspect", next_check_at=world.now + timedelta(seconds=1))
    assert list(claim_due(world.now)) == [instance.pk]
    assert not claim_due(world.now)
    world.clock.advance(61)
    assert len(claim_due(world.now)) == 2


def test_instances_on_several_hosts_are_judged_by_their_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "REST_SECONDS", 0.0)
    far = Host.objects.create(name="far", docker_url="unix:///fake/far.sock")
    near, away = world.instance("near"), world.instance("away", host=far)
    assert near.port == away.port
    Instance.objects.filter(pk=away.pk).update(port=29000)
    world.outside.hosts[far.docker_url].unreachable = True
    kill(world, near)
    report = sweep(world)
    assert {r.instance.customer_id: r.status for r in report.rows} == {"near": "healthy", "away": "unknown"}
