"""One slot makes one sweep, and a sweep whose checks got lost does not block the next."""

from __future__ import annotations

import threading
from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import connection

from instances.checks import sweeps
from instances.errors import BusyError
from instances.models import Sweep
from tests.factories import World

pytestmark = pytest.mark.django_db
INTERVAL = 900


def finished(world: World) -> Sweep:
    sweep = sweeps.start(world.now, INTERVAL, scheduled=True)
    sweeps.finish(sweep, world.now)
    return sweep


def test_a_second_beat_in_the_same_slot_makes_no_sweep(world: World) -> None:
    finished(world)
    world.clock.advance(2)
    with pytest.raises(BusyError, match=r"^This interval's sweep was already made\.$"):
        sweeps.start(world.now, INTERVAL, scheduled=True)
    assert Sweep.objects.count() == 1


def test_each_interval_has_its_sweep_although_the_beat_jitters(world: World) -> None:
    for wait in (0, 895, 909, 896, 901):
        world.clock.advance(wait)
        finished(world)
    slots = list(Sweep.objects.order_by("slot").values_list("slot", flat=True))
    assert len(slots) == 5
    gaps = {later - earlier for earlier, later in pairwise(slots)}  # type: ignore[operator]
    assert gaps == {timedelta(seconds=INTERVAL)}


def test_a_sweep_a_person_asks_for_takes_no_slot(world: World) -> None:
    finished(world)
    sweeps.finish(sweeps.start(world.now, INTERVAL, by="cli:ann"), world.now)
    world.clock.advance(INTERVAL)
    finished(world)
    assert Sweep.objects.filter(slot=None).count() == 1
    assert Sweep.objects.exclude(slot=None).count() == 2


def test_a_sweep_beside_a_running_one_is_refused_with_its_progress(world: World) -> None:
    sweeps.start(world.now, INTERVAL, scheduled=True)
    Sweep.objects.update(total=12, done=5)
    world.clock.advance(30)
    with pytest.raises(BusyError) as refused:
        sweeps.start(world.now, INTERVAL, by="cli:ann")
    assert str(refused.value) == ("A sweep is already running: 5 of 12 instances checked since 12:00:00 UTC.")
    assert Sweep.objects.count() == 1


def test_an_overdue_sweep_is_closed_as_incomplete_and_the_next_can_start(world: World) -> None:
    stuck = sweeps.start(world.now, INTERVAL, scheduled=True)
    world.clock.advance(INTERVAL + 1)
    fresh = sweeps.start(world.now, INTERVAL, scheduled=True)
    stuck.refresh_from_db()
    assert (stuck.state, stuck.finished_at) == ("incomplete", world.now)
    assert Sweep.objects.get(state="running").pk == fresh.pk


def test_a_sweep_within_its_time_is_not_closed(world: World) -> None:
    sweeps.start(world.now, INTERVAL)
    world.clock.advance(INTERVAL * 0.9)
    assert sweeps.close_overdue(world.now) == 0


def test_a_sweep_ends_before_the_next_is_due_and_has_time_all_the_same() -> None:
    assert sweeps.lifetime(5) >= timedelta(seconds=15)
    assert timedelta(seconds=800) < sweeps.lifetime(900) < timedelta(seconds=900)


def test_an_attended_sweep_lives_as_long_as_it_is_kept(world: World) -> None:
    sweep = sweeps.start(world.now, INTERVAL, attended=True)
    for _ in range(40):
        world.clock.advance(50)
        sweeps.keep(sweep, world.now)
        assert sweeps.close_overdue(world.now) == 0
    world.clock.advance(61)
    assert sweeps.close_overdue(world.now) == 1


def test_finishing_does_not_reopen_a_closed_sweep(world: World) -> None:
    stuck = sweeps.start(world.now, INTERVAL)
    world.clock.advance(INTERVAL + 1)
    sweeps.close_overdue(world.now)
    sweeps.finish(stuck, world.now)
    assert Sweep.objects.get().state == "incomplete"


@pytest.mark.django_db(transaction=True)
def test_two_beats_at_the_same_moment_make_one_sweep(world: World) -> None:
    together, made, refused = threading.Barrier(2), [], []

    def beat() -> None:
        together.wait(60)
        try:
            made.append(sweeps.start(world.now, INTERVAL, scheduled=True))
        except BusyError as error:
            refused.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=beat) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(made), len(refused), Sweep.objects.count()) == (1, 1, 1)
