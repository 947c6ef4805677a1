"""A test deployment goes through all a customer's instance goes through, and leaves nothing."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from instances import lookup
from instances.containers.facts import ContainerFacts
from instances.errors import NotFoundOnEngine, RequestError
from instances.fleet import cleanup
from instances.fleet.trial import STEPS, Trial, run_trial
from instances.models import Instance, Operation, Plan, Port
from instances.operations import service
from instances.operations.attempts import TryAgain
from instances.operations.steps.pull import PULL
from tests.factories import ASKED, IMAGE, World
from tests.fakes.facts import image_facts
from tests.fakes.outside import Killed, fails
from tests.fast.conftest import Run
from tests.fast.updates import publish

pytestmark = pytest.mark.django_db

EVERY_STEP = [
    "provision", "limits", "validate", "logs", "restart", "update", "decommission", "nothing left",
]  # fmt: skip
OTHER = "registry.example.com/other:2.0"


@pytest.fixture(autouse=True)
def published(world: World) -> None:
    """The plan's image is on the host and in the registry."""
    publish(world, "agent-1")


def tried(world: World, image: str | None = None, host: str | None = None) -> Trial:
    return run_trial("pro", image, host, ASKED, world.outside)


def nothing_left(world: World) -> bool:
    rows = Instance.objects.exists() or Port.objects.exists()
    return not (rows or world.engine.containers or world.engine.volumes)


def test_every_step_is_done_and_on_record_and_nothing_is_left(world: World) -> None:
    seen: list[ContainerFacts] = []
    of_data: list[dict[str, str]] = []

    def look() -> None:
        [name] = world.engine.containers
        facts = world.engine.inspect(name)
        seen.extend([facts] if facts else [])
        of_data.extend(world.engine.volumes.values())

    world.clock.at(0.5, look)
    done = tried(world)
    assert [(step.name, step.ok, step.error) for step in done.steps] == [(n, True, None) for n in EVERY_STEP]
    assert len(done.steps) == STEPS
    assert (done.success, done.error) == (True, None)
    assert nothing_left(world)
    assert list(world.engine.images) == [IMAGE]
    rows = Operation.objects.all()
    assert sorted(row.kind for row in rows) == ["decommission", "provision", "restart", "update"]
    assert {(row.status, row.requested_by, row.instance) for row in rows} == {("succeeded", "tests", None)}
    assert (seen[0].nano_cpus, seen[0].memory) == (2_000_000_000, 2 * 1024**3), "as the plan says"
    assert seen[0].labels["dockmgr.expires_at"] > world.now.isoformat()
    assert of_data == [seen[0].labels]


def test_its_environment_is_made_up_and_so_is_its_name_which_nobody_asks_for_in_public(world: World) -> None:
    Plan.objects.update(
        required_env=["API_KEY", "TOKEN"], env={"TOKEN": "given"}, public_url="https://{subdomain}"
    )
    assert tried(world).success


def test_of_an_image_that_was_there_under_another_name_only_the_new_name_goes(world: World) -> None:
    world.engine.images["mine:1"] = image_facts("agent-2")
    publish(world, "agent-2", OTHER)
    assert tried(world, OTHER).success
    assert sorted(world.engine.images) == ["mine:1", IMAGE]


def test_an_image_somebody_runs_by_then_stays(world: World) -> None:
    publish(world, "agent-2", OTHER)
    world.clock.at(0.5, lambda: world.provision("c1", image=OTHER))
    assert tried(world, OTHER).success
    assert sorted(world.engine.images) == [IMAGE, OTHER]


def test_an_image_that_somebody_is_being_updated_to_by_then_stays(world: World) -> None:
    world.instance("c1")
    publish(world, "agent-2", OTHER)
    begun: list[Operation] = []

    def begin() -> None:
        begun.append(service.begin_update("c1", ASKED, image=OTHER, outside=world.outside))
        with pytest.raises(TryAgain):
            service.run_once(begun[0].pk, world.outside, until=PULL.name)

    world.clock.at(0.5, begin)
    assert tried(world, OTHER).success
    assert service.run_to_end(begun[0].pk, world.outside).status == "succeeded"


def test_an_unhealthy_image_fails_at_its_first_step_and_leaves_nothing(world: World) -> None:
    world.probe.answers[world.host.first_port] = fails()
    publish(world, "agent-2", OTHER)
    done = tried(world, OTHER)
    assert [(step.name, step.ok) for step in done.steps] == [("provision", False), ("nothing left", True)]
    assert "did not become healthy" in str(done.error)
    assert nothing_left(world)
    assert list(world.engine.images) == [IMAGE]


def test_a_missing_image_fails_at_its_first_step_and_leaves_nothing(world: World) -> None:
    done = tried(world, OTHER)
    assert [(step.name, step.ok) for step in done.steps] == [("provision", False), ("nothing left", True)]
    assert "no image" in str(done.error)
    assert list(world.engine.images) == [IMAGE]


def test_limits_the_engine_did_not_take_are_found(world: World) -> None:
    taken = {"nano_cpus": 10**9, "memory": 2**20, "pids_limit": None}
    world.clock.at(0.5, lambda: world.engine.change(world.engine.containers[0], **taken))
    done = tried(world)
    assert [step.name for step in done.steps if not step.ok] == ["limits"]
    assert "(1000000000, 1048576, None)" in str(done.error)
    assert [step.name for step in done.steps][-2:] == ["decommission", "nothing left"]
    assert nothing_left(world)


def test_a_container_that_vanishes_fails_the_test_and_leaves_nothing(world: World) -> None:
    world.clock.at(0.5, lambda: world.engine.fail_next("logs", NotFoundOnEngine("It is gone.")))
    done = tried(world)
    assert [(s.name, s.error) for s in done.steps if not s.ok] == [
        ("logs", "The throwaway instance is gone.")
    ]
    assert nothing_left(world)


def test_what_is_left_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.engine, "remove_volume", lambda _: None)
    done = tried(world)
    assert [step.name for step in done.steps if not step.ok] == ["nothing left"]
    assert str(done.error).startswith("Left behind: volume dockmgr-test-")


def met_by_locks(begin: Callable[..., Operation], calls: list[str]) -> Callable[..., Operation]:
    crowded, number = OperationalError("canceling statement due to lock timeout"), itertools.count(1)

    def begin_in_a_crowd(*asked: Any, **options: Any) -> Operation:
        call = next(number)
        calls.append(begin.__name__)
        if call == 1:
            raise crowded
        operation = begin(*asked, **options)
        if call == 2:  # begun, and nobody was told
            raise crowded
        return operation

    return begin_in_a_crowd


@pytest.mark.django_db(transaction=True)
def test_steps_that_meet_the_locks_of_others_or_lose_the_database_are_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    verbs, calls = ("begin_provision", "begin_restart", "begin_update", "begin_decommission"), list[str]()
    for verb in verbs:
        monkeypatch.setattr(service, verb, met_by_locks(getattr(service, verb), calls))
    cut, read = [OperationalError("server closed the connection unexpectedly")], lookup.instance

    def instance(name: str) -> Instance:
        if cut:
            raise cut.pop()
        return read(name)

    monkeypatch.setattr(lookup, "instance", instance)
    done = tried(world)
    assert (done.success, done.error, Counter(calls)) == (True, None, dict.fromkeys(verbs, 3))
    assert nothing_left(world)
    assert Operation.objects.count() == 4 and not cut


def test_a_wrong_request_is_refused_before_anything(world: World) -> None:
    for plan, image, host in (("unknown", None, None), ("pro", None, "unknown"), ("pro", "-x", None)):
        with pytest.raises(RequestError):
            run_trial(plan, image, host, ASKED, world.outside)
    assert not Operation.objects.exists()


def test_an_engine_out_of_reach_is_said_at_the_first_step(world: World) -> None:
    world.engine.unreachable = True
    done = tried(world)
    assert [(step.name, step.ok) for step in done.steps] == [("provision", False), ("nothing left", True)]
    assert "engine" in str(done.error)


@pytest.mark.parametrize("after", (None, 0.5))
def test_an_engine_out_of_reach_says_nothing_of_the_plan_and_is_code_3(
    world: World, run: Run, after: float | None
) -> None:
    def goes() -> None:
        world.engine.unreachable = True

    goes() if after is None else world.clock.at(after, goes)
    ran = run("test_deploy", "--plan", "pro", "--json")
    assert (ran.code, ran.document["success"]) == (3, False)
    assert ran.document["error"] in ran.err


def test_the_command_and_its_exit_codes(world: World, run: Run) -> None:
    ran = run("test_deploy", "--plan", "pro", "--json")
    assert (ran.code, ran.document["success"], ran.document["plan"]) == (0, True, "pro")
    assert [set(step) for step in ran.document["steps"]] == [{"name", "ok", "seconds", "error"}] * STEPS
    ran = run("test_deploy", "--plan", "pro", "--image", OTHER, "--json")
    assert (ran.code, ran.document["success"]) == (1, False)
    assert ran.document["error"]
    assert run("test_deploy", "--plan", "unknown").code == 2


@pytest.mark.parametrize("moment", (3, 27, 51))
def test_one_that_was_killed_is_removed_when_its_time_is_over(world: World, moment: int) -> None:
    world.outside.fate.strikes_at(moment)
    with pytest.raises(Killed):
        tried(world)
    world.outside.fate.spares()
    world.clock.advance(3601)
    service.recover(world.outside)
    for operation in cleanup.expired(world.now):
        service.run_to_end(operation.pk, world.outside)
    assert nothing_left(world)
    assert not Operation.objects.filter(finished_at=None).exists()


def test_who_interrupts_it_is_told_what_becomes_of_what_was_made(world: World, run: Run) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(world.engine, "start", interrupted)
        ran = run("test_deploy", "--plan", "pro", "--json")
    assert world.engine.containers
    said = "Interrupted; what was made is removed by the workers, within an hour or two."
    assert (ran.code, ran.document) == (130, {"error": said})
    world.clock.advance(2 * 3600)
    service.recover(world.outside)
    for operation in cleanup.expired(world.now):
        service.run_to_end(operation.pk, world.outside)
    assert not (world.engine.containers or world.engine.volumes)
