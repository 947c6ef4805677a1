"""Engines' events: followed by one process, and answered with a check at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from instances.containers.facts import ContainerEvent
from instances.errors import EngineUnreachable
from instances.models import Health, HostWatch
from instances.monitoring.events import LEASE, EventWatch, Follower, Noticed, claim, look_soon, release
from instances.operations import service
from instances.outside import engine_address
from tests.factories import ASKED, World, health_of
from tests.fakes.threads import no_thread_left

pytestmark = pytest.mark.django_db


def test_one_process_follows_an_engine_and_another_one_when_its_lease_is_over(world: World) -> None:
    assert [host.pk for host in claim("one", world.now)] == [world.host.pk]
    assert claim("two", world.now) == []
    world.clock.advance(LEASE.total_seconds() / 2)
    assert claim("one", world.now), "it is renewed"
    world.clock.advance(LEASE.total_seconds() - 1)
    assert claim("two", world.now) == []
    world.clock.advance(1)
    assert claim("two", world.now) and claim("one", world.now) == []
    release("two")
    assert claim("one", world.now)


def test_a_lease_from_a_clock_that_was_fast_holds_nobody_out(world: World) -> None:
    claim("one", world.now + timedelta(hours=2))
    assert claim("two", world.now)


def test_what_happened_is_handed_on_once(world: World) -> None:
    instance, noticed = world.instance(), Noticed()
    world.clock.advance(30)
    follower = Follower(engine_address(world.host), world.outside.engines, noticed, world.now)
    heard = [follower.hears]
    follower.follow()
    heard.append(follower.hears)  # until it can't be opened anew
    assert noticed.wait() and noticed.take() == {instance.container_id}
    follower.follow()
    assert not noticed.take()
    world.engine.lose(instance.container_name)
    follower.follow()
    assert noticed.take() == {instance.container_id}
    world.engine.unreachable = True
    with pytest.raises(EngineUnreachable):
        follower.follow()
    assert [*heard, follower.hears] == [False, True, False]
    world.engine.unreachable = False
    world.clock.advance(61)
    Follower(engine_address(world.host), world.outside.engines, noticed, world.now).follow()
    assert not noticed.take(), "what was long ago was seen by sweeps"


def test_what_something_happened_to_is_checked_at_once(world: World) -> None:
    died, well = world.instance("c1"), world.instance("c2")
    assert look_soon({died.container_id, "a stranger's"}, world.now) == 1
    assert health_of(died).next_check_at == world.now
    assert health_of(well).next_check_at is None
    assert look_soon({died.container_id}, world.now) == 0, "it is due already"


@pytest.mark.parametrize("how", ["paused", "changed", "leaving", "due before"])
def test_what_is_not_looked_at_is_left_alone(world: World, how: str) -> None:
    instance = world.instance()
    if how == "paused":
        Health.objects.update(status="paused")
    elif how == "changed":
        service.begin_restart("c1", ASKED, world.outside)
    elif how == "leaving":
        instance.leaving_at = world.now
        instance.save()
    else:
        Health.objects.update(next_check_at=world.now - timedelta(seconds=1))
    before = health_of(instance).next_check_at
    assert look_soon({instance.container_id}, world.now) == 0
    assert health_of(instance).next_check_at == before


def test_checks_are_published_only_when_there_are_any(world: World) -> None:
    published: list[bool] = []
    watch = EventWatch(world.outside, lambda: published.append(True))
    watch.order_checks()
    assert not published
    instance = world.instance()
    watch._noticed.add(ContainerEvent(instance.container_id, "die", 1))
    watch.order_checks()
    assert published == [True]


def test_a_stopped_process_leaves_the_engine_to_others_at_once(world: World) -> None:
    watch = EventWatch(world.outside, lambda: None)
    world.engine.unreachable = True  # its follower then waits for the engine
    watch.turn()
    assert HostWatch.objects.get().events_by
    orders = threading.Thread(target=watch.order, daemon=True)
    orders.start()
    watch.stop()
    orders.join(20)
    assert not orders.is_alive()
    assert HostWatch.objects.get().events_by == ""
    watch.turn()
    assert HostWatch.objects.get().events_by == "", "it begins nothing any more"


def test_an_engine_is_followed_once_a_thread_can_start(world: World) -> None:
    watch = EventWatch(world.outside, lambda: None)
    world.engine.unreachable = True
    with no_thread_left():
        watch.turn()
    world.clock.advance(6)
    watch.turn()
    [follower] = watch._followers.values()
    assert follower._thread.is_alive()
    watch.stop()


def test_a_defect_does_not_end_the_following(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instances.monitoring.events.RETRY_SECONDS", 0.0)
    follower = Follower(engine_address(world.host), world.outside.engines, Noticed(), world.now)
    heard: list[bool] = []

    def follow() -> None:
        heard.append(follower.hears)
        follower.hears = True
        if len(heard) == 1:
            raise ValueError("of our own")
        follower._over.set()

    monkeypatch.setattr(follower, "follow", follow)
    follower._run()
    assert heard == [False, False]


def test_a_stream_that_breaks_off_is_followed_from_there_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, noticed = world.instance(), Noticed()
    follower = Follower(engine_address(world.host), world.outside.engines, noticed, world.now)

    def breaks_off(_since: int) -> Iterator[ContainerEvent]:
        yield ContainerEvent(instance.container_id, "die", 7)
        raise EngineUnreachable("It broke off.")

    monkeypatch.setattr(world.engine, "events", breaks_off)
    follower.follow()
    assert (noticed.take(), follower.hears) == ({instance.container_id}, False)
    monkeypatch.undo()
    follower.follow()
    assert follower.hears
