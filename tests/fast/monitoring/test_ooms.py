"""A process killed for want of memory is told while its container lives; its death is told as such."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import OperationalError
from pytest_django.fixtures import Settings

from instances.errors import EngineUnreachable
from instances.incidents import deadlines
from instances.models import Host, HostWatch, Incident, Instance, Operation, Usage
from instances.monitoring import events, resources
from instances.monitoring.events import EventWatch, Follower
from instances.monitoring.loop import resolution
from instances.monitoring.resources import WORTH_ASKING, judge_ooms, note_ooms
from instances.outside import engine_address
from tests.factories import World
from tests.fast.telling import a_channel, told_after

pytestmark = pytest.mark.django_db


@pytest.fixture
def watch(world: World) -> EventWatch:
    return EventWatch(world.outside, lambda: None)


def hear(world: World, watch: EventWatch) -> None:
    """A process that begins to follow hears what happened in the last minute, and hands it on."""
    Follower(engine_address(world.host), world.outside.engines, watch._noticed, world.now).follow()
    watch.order_checks()


def judged(world: World, seconds: float = 3) -> list[Incident]:
    world.clock.advance(seconds)
    judge_ooms(world.outside)
    return list(Incident.objects.order_by("pk"))


def test_a_child_that_was_killed_is_told_once_and_is_over_when_none_was_killed_for_a_while(
    world: World, watch: EventWatch, settings: Settings
) -> None:
    a_channel()
    instance = world.instance()
    world.engine.kill_child(instance.container_name)
    hear(world, watch)
    assert judged(world, 1) == [], "whether its container ends is not known yet"
    [incident] = judged(world)
    assert (incident.kind, incident.cause, incident.severity) == ("resources", "oom", "warning")
    assert incident.message == (
        "The kernel killed a process of c1 at 12:00:00 UTC, as its memory limit of 2 GB was reached; "
        "its container goes on without it."
    )
    assert told_after(world, 1) == ["ops opened warning c1"]
    hear(world, watch)  # another process takes over, and hears it again
    assert not Usage.objects.exclude(oom_since=None).exists()
    world.clock.advance(settings.FLAPPING_CLEAN)
    deadlines.apply_due(world.now, resolution)
    incident.refresh_from_db()
    assert (incident.is_open, incident.resolution) == (False, "the kernel has killed no process of it since")


def test_what_was_heard_while_the_database_was_away_is_told_when_it_is_back(
    world: World, watch: EventWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise OperationalError("the connection was cut")

    instance = world.instance()
    world.engine.kill_child(instance.container_name)
    with monkeypatch.context() as cut:
        cut.setattr(events, "note_ooms", away)
        with pytest.raises(OperationalError):
            hear(world, watch)
    watch.order_checks()
    [incident] = judged(world)
    assert incident.cause == "oom"


def test_one_that_its_engine_started_again_at_once_is_told(world: World, watch: EventWatch) -> None:
    instance = world.instance()
    world.engine.kill_child(instance.container_name)
    hear(world, watch)
    world.engine.change(instance.container_id, started_at=world.now + timedelta(seconds=1))
    [incident] = judged(world)
    assert (incident.kind, incident.cause) == ("resources", "oom")
    assert incident.message.endswith("was reached; its container ended, and its engine started it again.")


@pytest.mark.parametrize(("by", "told"), [("a restart", 0), ("an update under way", 0), ("one before", 1)])
def test_one_that_we_started_again_is_told_by_that(
    world: World, watch: EventWatch, by: str, told: int
) -> None:
    instance = world.instance()
    world.engine.kill_child(instance.container_name)
    hear(world, watch)
    ended = {"a restart": world.now, "one before": world.now - timedelta(seconds=1)}.get(by)
    Operation.objects.create(
        kind="restart", customer_id="c1", host=world.host, status="running", requested_by="tests",
        created_at=world.now - timedelta(seconds=5), finished_at=ended, lease_expires_at=world.now,
    )  # fmt: skip
    world.engine.change(instance.container_id, started_at=world.now + timedelta(seconds=1))
    assert len(judged(world)) == told


@pytest.mark.parametrize("then", ["ends", "is gone", "is unknown"])
def test_a_container_that_ended_of_it_is_left_to_those_who_tell_of_deaths(
    world: World, watch: EventWatch, then: str
) -> None:
    instance = world.instance()
    world.engine.kill_child(instance.container_name)
    hear(world, watch)
    if then == "ends":
        world.engine.change(instance.container_id, state="exited", oom_killed=True)
    elif then == "is gone":
        world.engine.lose(instance.container_id)
    else:
        Instance.objects.update(container_id="f" * 64)
    assert judged(world) == []
    assert not Usage.objects.exclude(oom_since=None).exists()


def test_an_engine_out_of_reach_is_asked_again_for_a_while(world: World, watch: EventWatch) -> None:
    world.engine.kill_child(world.instance().container_name)
    hear(world, watch)
    world.engine.unreachable = True
    assert judged(world) == []
    assert Usage.objects.exclude(oom_since=None).exists()
    judged(world, WORTH_ASKING.total_seconds())
    assert not Usage.objects.exclude(oom_since=None).exists()


@pytest.mark.parametrize("is_known", [False, True])
def test_a_host_out_of_reach_keeps_no_other_from_being_judged(
    world: World, monkeypatch: pytest.MonkeyPatch, is_known: bool
) -> None:
    monkeypatch.setattr(resources, "AT_ONCE", 3)
    other = Host.objects.create(name="other", docker_url="unix:///fake/two.sock")
    dark = [world.instance(f"d{number}") for number in range(4)]
    well, asked = world.instance("well", host=other), list[str]()
    killed = [[row.container_id for row in dark], [well.container_id]]
    for containers in killed:
        note_ooms(dict.fromkeys(containers, int(world.now.timestamp() * 1e9)), world.now)
        world.clock.advance(1)
    HostWatch.objects.update_or_create(host=world.host, defaults={"failures": int(is_known)})

    def hang(container: str) -> None:
        asked.append(container)
        raise EngineUnreachable("it does not answer")

    monkeypatch.setattr(world.engine, "inspect", hang)
    assert [row.instance_id for row in judged(world)] == [well.pk]
    assert len(asked) == int(not is_known), "it is asked once a turn, and not where that is known"
    waiting = Usage.objects.exclude(oom_since=None)
    assert waiting.count() == len(dark)
    judged(world, WORTH_ASKING.total_seconds())
    assert not waiting.exists()
