"""Updating a fleet: a canary first, a few at a time, and no further when too many fail."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from instances.containers.facts import ImageFacts
from instances.containers.spec import previous_name
from instances.db.clock import SYSTEM
from instances.fleet import rollout
from instances.fleet.rollout import Limits, Result, too_many, update_all
from instances.models import Health, Host, Instance, Operation
from instances.operations import service
from instances.operations.requester import Requester
from instances.outside import Outside
from tests.factories import ASKED, IMAGE, World
from tests.fakes.outside import HostEngine, Killed
from tests.fast.conftest import Run
from tests.fast.inline import InlineExecutor
from tests.fast.updates import NEW, OLD, answers_by_image, in_order, publish, update

pytestmark = pytest.mark.django_db
Fleet = Callable[[int], list[Instance]]


@pytest.fixture
def one_by_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout, "ThreadPoolExecutor", InlineExecutor)


@pytest.fixture
def fleet(world: World, one_by_one: None) -> Fleet:
    """`fleet(3)` are c00, c01 and c02, healthy on the old image; a new one is in the registry."""

    def make(number: int) -> list[Instance]:
        instances = [world.instance(f"c{n:02}") for n in range(number)]
        publish(world)
        return instances

    return make


def images() -> dict[str, str]:
    return dict(Instance.objects.order_by("customer_id").values_list("customer_id", "image_id"))


def bad_for(world: World, instances: list[Instance]) -> None:
    for instance in instances:
        answers_by_image(world, instance.port)


def run_all(world: World, **words: Any) -> Result:
    return update_all(None, ASKED, outside=world.outside, **words)


def test_all_are_updated_and_each_is_told(world: World, fleet: Fleet) -> None:
    fleet(3)
    told: list[tuple[int, int, str]] = []
    result = run_all(world, progress=lambda *what: told.append(what))
    assert set(images().values()) == {NEW}
    assert [operation.status for operation in result.operations] == ["succeeded"] * 3
    assert (result.skipped, result.left, result.stopped) == ({}, [], "")
    assert told[0] == (1, 3, "updated")
    assert told[-1] == (3, 3, "updated")
    for customer_id in images():
        in_order(world, customer_id)


def test_a_canary_that_fails_stops_all_others(world: World, fleet: Fleet) -> None:
    instances = fleet(3)
    bad_for(world, instances[:1])
    result = run_all(world)
    assert (result.stopped, result.left) == ("The canary failed.", ["c01", "c02"])
    assert [operation.status for operation in result.operations] == ["rolled_back"]
    assert set(images().values()) == {OLD}
    assert Operation.objects.count() == 1


def test_any_of_several_canaries_stops_all_others(world: World, fleet: Fleet) -> None:
    bad_for(world, fleet(3)[1:2])
    result = run_all(world, limits=Limits(canaries=2))
    assert (result.stopped, len(result.operations), result.left) == ("The canary failed.", 2, ["c02"])


def test_one_with_nothing_to_do_is_no_canary(world: World, fleet: Fleet) -> None:
    """One runs the new image already: the next is the first to tell whether it is any good."""
    instances = fleet(3)
    update(world, "c00")
    bad_for(world, instances[1:])
    result = run_all(world)
    assert [operation.status for operation in result.operations] == ["succeeded", "rolled_back"]
    assert (result.stopped, result.left) == ("The canary failed.", ["c02"])


def test_a_canary_of_before_counts_with_the_same_request_id(world: World, fleet: Fleet) -> None:
    fleet(1)
    asked = Requester("tests", request_id="tuesday")
    update_all(None, asked, outside=world.outside)
    bad_for(world, [world.instance("c01")])
    world.instance("c02")
    result = update_all(None, asked, Limits(failures_allowed=0.5), outside=world.outside)
    assert (result.stopped, result.failures, result.tried) == ("", 1, 3)


def test_the_canary_is_a_healthy_one(world: World, fleet: Fleet) -> None:
    fleet(2)
    Health.objects.filter(instance__customer_id="c00").update(status="failed")
    assert [operation.customer_id for operation in run_all(world).operations] == ["c01", "c00"]


def test_a_share_of_failures_stops_the_rest(world: World, fleet: Fleet) -> None:
    bad_for(world, fleet(4)[1:])
    result = run_all(world)
    assert result.stopped == "2 of 3 updates failed, more than 10% of 4."
    assert len(result.operations) == 3, "those under way were seen through"
    assert result.left == ["c03"]
    for customer_id in images():
        in_order(world, customer_id)


def test_busy_ones_are_skipped_and_named_with_a_reason(world: World, fleet: Fleet) -> None:
    fleet(2)
    service.begin_restart("c00", ASKED, world.outside)
    result = run_all(world)
    assert list(result.skipped) == ["c00"]
    assert "is being changed: restart" in result.skipped["c00"]
    assert images() == {"c00": OLD, "c01": NEW}


def test_one_that_is_removed_meanwhile_is_skipped(world: World, fleet: Fleet) -> None:
    fleet(2)
    world.clock.at(1, lambda: world.decommission("c01"))
    result = run_all(world)
    assert list(result.skipped) == ["c01"]
    assert len(result.operations) == 1


def test_paused_and_removed_ones_are_left_out(world: World, fleet: Fleet) -> None:
    fleet(3)
    service.pause("c01")
    world.decommission("c02")
    assert [operation.customer_id for operation in run_all(world).operations] == ["c00"]


def test_a_killed_fleet_update_goes_on_where_it_was_with_the_same_request_id(
    world: World, fleet: Fleet
) -> None:
    fleet(3)
    asked = Requester("tests", request_id="tuesday")
    world.outside.fate.strikes_at(60)
    with pytest.raises(Killed):
        update_all(None, asked, outside=world.outside)
    world.outside.fate.spares()
    begun = Operation.objects.count()
    assert 0 < begun < 3
    world.clock.advance(31)
    service.recover(world.outside)
    result = update_all(None, asked, outside=world.outside)
    assert [operation.status for operation in result.operations] == ["succeeded"] * 3
    assert Operation.objects.count() == 3
    assert all(world.engine.stops[previous_name(name)] == 1 for name in world.engine.containers)


def test_another_image_under_the_same_request_id_is_refused_before_any_is_updated(
    world: World, fleet: Fleet, run: Run
) -> None:
    fleet(1)
    asked = Requester("tests", request_id="tuesday")
    update_all(None, asked, outside=world.outside)
    before = images()
    world.instance("a-new-one")
    ran = run("update", "--all", "--image", IMAGE, "--request-id", "tuesday", "--json")
    assert (ran.code, set(ran.document)) == (2, {"error"})
    assert images() == {**before, "a-new-one": OLD}


def test_the_command_says_what_was_done_skipped_and_left(world: World, fleet: Fleet, run: Run) -> None:
    bad_for(world, fleet(2)[:1])
    ran = run("update", "--all", "--json")
    assert ran.code == 1
    assert [operation["status"] for operation in ran.document["operations"]] == ["rolled_back"]
    assert (ran.document["left"], ran.document["stopped"]) == (["c01"], "The canary failed.")
    text = run("update", "--all").out
    assert "Stopped: The canary failed." in text


def test_a_test_deployment_that_fails_keeps_the_fleet_from_being_touched(
    world: World, fleet: Fleet, run: Run
) -> None:
    fleet(1)
    bad = "registry.example.com/agent:bad"
    world.engine.registry_down = True
    ran = run("update", "--all", "--image", bad, "--test-first", "pro", "--json")
    assert (ran.code, ran.document["operations"]) == (1, [])
    assert ran.document["stopped"].startswith("The test deployment failed: ")
    assert set(images().values()) == {OLD}


def test_a_test_deployment_that_works_lets_the_fleet_update_begin(
    world: World, fleet: Fleet, run: Run
) -> None:
    fleet(1)
    ran = run("update", "--all", "--test-first", "pro", "--image", IMAGE, "--json")
    assert (ran.code, set(images().values())) == (0, {NEW})


class Crowd:
    """Counts how many pulls go on at once on one host; each waits for company."""

    def __init__(self, engine: HostEngine) -> None:
        self.most = self._now = 0
        self._pull = engine.pull
        self._lock, self._pair = threading.Lock(), threading.Barrier(2, timeout=60)

    def pull(self, *args: Any) -> ImageFacts:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        self._pair.wait()
        pulled: ImageFacts = self._pull(*args)
        with self._lock:
            self._now -= 1
        return pulled


@pytest.mark.django_db(transaction=True)
def test_at_most_two_are_updated_at_once_on_a_host(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Host.objects.create(name="other", docker_url="unix:///fake/two.sock")
    crowds = []
    for host, number in ((world.host, 4), (other, 2)):
        for n in range(number):
            world.instance(f"{host.name}-{n}", host=host)
        engine = world.outside.hosts[host.engine_url]
        engine.registry[IMAGE] = engine.images[IMAGE]
        crowds.append(Crowd(engine))
        monkeypatch.setattr(engine, "pull", crowds[-1].pull)
    parts: Any = world.outside
    real_time = Outside(engines=parts.engines, clock=SYSTEM, probe=parts.probe)
    result = update_all(None, ASKED, Limits(canaries=0), outside=real_time)
    assert [operation.status for operation in result.operations] == ["succeeded"] * 6
    assert [crowd.most for crowd in crowds] == [2, 2]


@pytest.mark.django_db(transaction=True)
def test_an_update_that_meets_the_locks_of_others_does_not_end_the_rollout(
    world: World, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet(1)
    real, refusals = service.begin_update, [OperationalError("canceling statement due to lock timeout")]

    def begin_update(*asked: Any, **options: Any) -> Operation:
        if refusals:
            raise refusals.pop()
        return real(*asked, **options)

    monkeypatch.setattr(rollout, "begin_update", begin_update)
    result = update_all(None, ASKED, outside=world.outside)
    assert [operation.status for operation in result.operations] == ["succeeded"]
    assert not refusals


@pytest.mark.parametrize(
    ("failures", "tried", "done", "total", "limits", "stops"),
    [
        (0, 1, 1, 100, Limits(), False),
        (1, 1, 1, 100, Limits(), True),
        (1, 2, 2, 100, Limits(), False),
        (1, 2, 2, 100, Limits(canaries=2), True),
        (1, 3, 3, 100, Limits(canaries=2), False),
        (1, 1, 9, 100, Limits(), True),
        (1, 2, 9, 100, Limits(), False),
        (10, 50, 50, 100, Limits(), False),
        (11, 50, 50, 100, Limits(), True),
        (1, 2, 2, 10, Limits(), False),
        (1, 2, 2, 9, Limits(), True),
        (2, 5, 5, 10, Limits(failures_allowed=0.5), False),
        (6, 9, 9, 10, Limits(failures_allowed=0.5), True),
        (1, 9, 9, 10, Limits(failures_allowed=0), True),
        (0, 10, 10, 10, Limits(failures_allowed=0), False),
    ],
)
def test_when_too_many_failed(
    failures: int, tried: int, done: int, total: int, limits: Limits, stops: bool
) -> None:
    assert bool(too_many(failures, tried, done, total, limits)) is stops


def test_a_registry_is_asked_once_where_nothing_is_newer(world: World, one_by_one: None) -> None:
    for number in range(3):
        world.instance(f"c{number}")
    publish(world, "agent-1")
    result = run_all(world)
    assert (len(result.operations), result.tried) == (3, 0)
    assert world.engine.pulls == [IMAGE]
