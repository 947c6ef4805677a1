"""A sweep that goes no further is carried on by one worker, and each of its checks is counted once."""

from __future__ import annotations

import random
import threading
from datetime import datetime, timedelta

import pytest
from django.db import connection
from msgspec.structs import replace

from instances.checks import stalled, sweeps
from instances.checks.record import record
from instances.errors import OutOfReachError
from instances.health.response import Outcome
from instances.models import Health, HealthCheck, Instance, Sweep
from instances.operations import service
from tasks import checks
from tasks.clockwork import follow_up_turn
from tests.factories import ASKED, World, a_check, interrupt
from tests.fast.conftest import Message
from tests.fast.tasks.test_tasks import Sent

pytestmark = pytest.mark.django_db
LIFETIME = 855  # seconds, of a sweep every 900
SILENT = 21  # seconds without a record; 20 are normal


def a_sweep(world: World, number: int) -> tuple[Sweep, list[Instance]]:
    """One that looks at so many, and of which nothing is published or recorded yet."""
    instances = [world.instance(f"c{place}") for place in range(number)]
    row = sweeps.start(world.now, 900)
    Sweep.objects.filter(pk=row.pk).update(total=number)
    return row, instances


def make(world: World, row: Sweep, *instances: Instance, again: bool = False) -> None:
    world.clock.advance(0.01)
    found = [a_check(world, instance, sweep_id=str(row.pk)) for instance in instances]
    record([replace(check, again=again) for check in found], world.now)


def counted(row: Sweep) -> tuple[str, int, int]:
    row.refresh_from_db()
    return row.state, row.done, row.total


@pytest.fixture
def empty_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "queue_lengths", lambda: {"health": 0, "operations": 7})


def customers(messages: list[Message]) -> list[str]:
    return sorted(message.kwargs["customer_id"] for message in messages)


@pytest.mark.parametrize(
    ("is_stalled", "silent", "changed"),
    [
        (False, 19, {}),
        (True, SILENT, {}),
        (True, LIFETIME - 1, {}),
        (False, LIFETIME + 1, {}),  # it is closed as incomplete
        (False, SILENT, {"attended": True}),
        (False, SILENT, {"state": "finished"}),
        (False, SILENT, {"state": "incomplete"}),
    ],
)
def test_a_sweep_has_stalled_when_nothing_is_recorded(
    world: World, is_stalled: bool, silent: int, changed: dict[str, object]
) -> None:
    row, _ = a_sweep(world, 1)
    Sweep.objects.update(**changed)
    world.clock.advance(silent)
    assert stalled.is_any_stalled(world.now) is is_stalled
    assert (stalled.take_stalled(world.now) is not None) is is_stalled
    assert counted(row)[1:] == (0, 1)


def test_each_record_is_a_sign_of_life(world: World) -> None:
    row, [one, _] = a_sweep(world, 2)
    world.clock.advance(15)
    make(world, row, one)
    world.clock.advance(15)
    assert not stalled.is_any_stalled(world.now)
    world.clock.advance(6)
    assert stalled.is_any_stalled(world.now)


def test_a_sign_of_life_from_the_future_is_none(world: World) -> None:
    a_sweep(world, 1)
    Sweep.objects.update(progress_at=world.now + timedelta(days=1))
    assert stalled.is_any_stalled(world.now)


@pytest.mark.usefixtures("empty_queue")
def test_who_is_left_is_asked_for_with_what_time_is_left(world: World, sent: Sent) -> None:
    row, instances = a_sweep(world, 4)
    make(world, row, instances[1], instances[2])
    world.clock.advance(SILENT)
    follow_up_turn()
    messages = sent("health")
    assert customers(messages) == ["c0", "c3"]
    assert {message.kwargs["request"]["sweep_id"] for message in messages} == {str(row.pk)}
    ends = datetime.fromisoformat(messages[0].headers["expires"]) - datetime.now(row.started_at.tzinfo)
    assert abs(ends - (row.expires_at - world.now)) < timedelta(seconds=15)
    assert counted(row) == ("running", 2, 4)
    world.clock.advance(15)
    follow_up_turn()
    assert sent("health") == [], "whoever carries it on has as much time as who began it"
    world.clock.advance(SILENT)
    follow_up_turn()
    assert customers(sent("health")) == ["c0", "c3"]


@pytest.mark.usefixtures("empty_queue")
def test_a_host_out_of_reach_is_written_down_unseen(world: World, sent: Sent) -> None:
    row, instances = a_sweep(world, 3)
    world.host_incident(world.host)
    world.clock.advance(SILENT)
    checks.carry_on_stalled()
    assert len(sent("health")) == 1, "by which the host is judged"
    assert counted(row) == ("running", 2, 3)
    assert HealthCheck.objects.filter(outcome=Outcome.UNKNOWN.value).count() == len(instances) - 1


@pytest.mark.usefixtures("empty_queue")
def test_where_nobody_is_left_the_sweep_is_over(world: World, sent: Sent) -> None:
    row, [one, other] = a_sweep(world, 2)
    make(world, row, one)
    service.pause(other.customer_id)
    world.clock.advance(SILENT)
    checks.carry_on_stalled()
    assert (sent("health"), counted(row)) == ([], ("finished", 2, 2))


def test_nothing_is_published_while_messages_wait(
    world: World, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_sweep(world, 2)
    monkeypatch.setattr(checks, "queue_lengths", lambda: {"health": 1})
    world.clock.advance(SILENT)
    checks.carry_on_stalled()
    assert sent("health") == []
    assert stalled.is_any_stalled(world.now), "the next turn asks again"


def test_it_is_left_as_it_is_while_the_broker_is_away(world: World) -> None:
    a_sweep(world, 2)
    world.clock.advance(SILENT)
    with pytest.raises(OutOfReachError):
        checks.carry_on_stalled()
    assert stalled.is_any_stalled(world.now)


def test_a_publisher_that_died_before_it_could_count_is_followed(world: World) -> None:
    row, _ = a_sweep(world, 3)
    Sweep.objects.update(total=0)
    world.clock.advance(SILENT)
    assert stalled.take_stalled(world.now)
    assert counted(row) == ("running", 0, 3)


@pytest.mark.parametrize("seed", range(4))
def test_each_is_counted_once_whenever_the_publisher_died(world: World, seed: int) -> None:
    """Checks that were in somebody's hand may come before and after the new ones, or not at all."""
    rnd, (row, instances) = random.Random(seed), a_sweep(world, 6)
    busy, published = instances[0], rnd.sample(instances, rnd.randrange(7))
    interrupt(service.begin_restart(busy.customer_id, ASKED, world.outside), world)
    recorded, in_hand = published[: (cut := rnd.randrange(min(len(published), 5) + 1))], published[cut:]
    make(world, row, *recorded)
    world.clock.advance(SILENT)
    taken = stalled.take_stalled(world.now)
    assert taken
    _, left = taken
    assert counted(row)[1:] == (6 - len(left), 6)
    outstanding = set(left)
    coming = [(one, False) for one in instances if one.pk in outstanding]
    late = [(one, True) for one in in_hand if rnd.random() < 0.7]
    for one, again in rnd.sample(coming + late, len(coming + late)):
        make(world, row, one, again=again)
        outstanding -= set() if again and one is busy else {one.pk}
        assert counted(row) == ("running" if outstanding else "finished", 6 - len(outstanding), 6)
    assert counted(row) == ("finished", 6, 6)
    swept = Health.objects.filter(last_sweep=row.pk)
    assert {health.instance_id for health in swept} == {one.pk for one in instances if one is not busy}
    assert HealthCheck.objects.count() == 5


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_carries_it_on(world: World) -> None:
    a_sweep(world, 3)
    world.clock.advance(SILENT)
    taken, together = [], threading.Barrier(4)

    def take() -> None:
        together.wait()
        taken.append(stalled.take_stalled(world.now))
        connection.close()

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(found is not None for found in taken) == 1
