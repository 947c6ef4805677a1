"""What engines' disks hold is read once an interval by one process, added up, and told above the plan's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from instances.errors import TransientError
from instances.models import Host, HostWatch, Incident, Usage, UsageHour
from instances.monitoring import disk
from instances.monitoring.disk import AT_ONCE, DiskReader
from instances.monitoring.usage_report import report
from tests.factories import World
from tests.fakes.outside import Killed
from tests.fast.telling import a_channel, told_after

pytestmark = pytest.mark.django_db
EVERY = timedelta(hours=1)
GB = 1024**3


def turn(world: World, hours: float = 1) -> None:
    """A process that reads, a while later; engines answer meanwhile when they are asked for themselves."""
    world.clock.advance(hours * 3600)
    DiskReader(world.outside, EVERY).turn()


def holds(world: World, volume: float, layer: float = 0, customer_id: str = "c1") -> None:
    name = f"dockmgr-{customer_id}"
    world.engine.holds |= {f"{name}-data": int(volume * GB), name: int(layer * GB)}


def disk_of(world: World) -> dict[str, Any]:
    [row] = report(world.now - timedelta(days=2), world.now + timedelta(hours=1))
    return {name: row[f"disk_{name}"] for name in ("gib_hours", "peak_bytes")}  # type: ignore[literal-required]


@pytest.mark.parametrize("status", ["healthy", "paused"])
def test_volumes_and_the_container_s_own_files_add_up_while_it_runs_or_not(world: World, status: str) -> None:
    instance = world.instance(status=status)
    holds(world, 2, 1)
    turn(world)
    row = Usage.objects.get()
    assert (row.disk, row.on_disk) == (3 * GB, {"": GB, "dockmgr-c1-data": 2 * GB})
    holds(world, 5, 1)
    turn(world)
    world.engine.change(instance.container_id, state="exited")
    turn(world)
    assert disk_of(world) == {"gib_hours": 12.0, "peak_bytes": 6 * GB}
    assert UsageHour.objects.count() == 1, "the first reading says nothing of the time before"


def test_each_engine_is_asked_once_an_interval_and_a_few_at_a_time(world: World) -> None:
    world.instance()
    for number in range(AT_ONCE + 1):
        Host.objects.create(name=f"h{number}", docker_url=f"tcp://h{number}:2376")
    asked = []
    for _ in range(3):
        turn(world, 0)
        asked.append(HostWatch.objects.exclude(disk_at=None).count())
    assert asked == [AT_ONCE, AT_ONCE + 2, AT_ONCE + 2]
    read_at = Usage.objects.get().disk_read_at
    assert read_at == world.now
    turn(world, 0.9)
    assert Usage.objects.get().disk_read_at == read_at
    turn(world, 0.1)
    assert Usage.objects.get().disk_read_at == world.now


@pytest.mark.parametrize("trouble", ["refuses", "unreachable", "incident"])
def test_an_engine_that_does_not_tell_is_asked_an_interval_later(world: World, trouble: str) -> None:
    world.instance()
    holds(world, 1)
    if trouble == "refuses":
        world.engine.fail_next("disk", TransientError("a disk usage operation is already running"))
    elif trouble == "unreachable":
        world.engine.unreachable = True
    else:
        world.host_incident()
    turn(world)
    assert not Usage.objects.exclude(disk=None).exists()
    world.engine.unreachable = False
    Incident.objects.all().delete()
    turn(world)
    assert Usage.objects.get().disk == GB


def test_what_is_above_its_plan_s_disk_is_told_once_and_when_there_is_room_again(world: World) -> None:
    a_channel()
    world.instance()
    world.instance("c2")
    world.plan.disk = 10 * GB
    world.plan.save()
    holds(world, 10)
    turn(world)
    assert not Incident.objects.exists()
    holds(world, 10, 2)
    for _ in range(2):
        turn(world)
    incident = Incident.objects.get()
    assert (incident.kind, incident.cause, incident.severity, incident.customer_id) == (
        "resources", "disk", "warning", "c1",
    )  # fmt: skip
    assert incident.message == (
        "c1 has 12 GB on disk, above the 10 GB of plan pro; most of it, 10 GB, in volume dockmgr-c1-data."
    )
    assert told_after(world, 1) == ["ops opened warning c1"]
    holds(world, 9)
    turn(world)
    incident.refresh_from_db()
    assert (incident.is_open, incident.resolution) == (False, "it is within the disk of its plan again")


def test_who_dies_in_the_middle_costs_one_reading_and_no_warning(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_channel()
    world.plan.disk = 4 * GB
    world.plan.save()
    world.instance()
    holds(world, 2)
    turn(world)
    monkeypatch.setattr(world.engine, "disk", killed)
    with pytest.raises(Killed):
        turn(world)
    monkeypatch.undo()
    turn(world)
    assert disk_of(world)["gib_hours"] == 4.0, "the time before counts with the next reading"
    holds(world, 5)
    with monkeypatch.context() as dying:
        dying.setattr(disk, "settle", killed)
        with pytest.raises(Killed):
            turn(world)
    assert told_after(world, 1) == []
    turn(world)
    assert told_after(world, 1) == ["ops opened warning c1"]
    turn(world)
    assert told_after(world, 1) == []


def killed(*_: object, **__: object) -> None:
    raise Killed
