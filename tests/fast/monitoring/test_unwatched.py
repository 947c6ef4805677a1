"""What nobody looks at any more is told to nobody, and found anew when somebody looks again."""

from __future__ import annotations

import pytest

from instances.checks.roster import Roster
from instances.fleet.sweep import check_here
from instances.models import Incident, Instance, Usage
from instances.monitoring.resources import judge_ooms, settle
from instances.operations import service
from tests.factories import World
from tests.fast.telling import HOUR, a_channel, told_after

pytestmark = pytest.mark.django_db
KINDS = ["container", "resources"]


def look(world: World, instance: Instance) -> None:
    """A check, and a reading that finds it near a limit."""
    world.clock.advance(60)
    list(check_here(Roster.of_rows([Instance.objects.get(pk=instance.pk)]), world.outside))
    near(instance, world)


def near(instance: Instance, world: World) -> None:
    settle(Usage.objects.get(pk=instance.pk), {"pids"}, {"pids"}, world.now)


def open_kinds() -> list[str]:
    return sorted(Incident.objects.open().values_list("kind", flat=True))


@pytest.fixture
def odd(world: World) -> Instance:
    """Renamed, and near the limit of its processes."""

    instance = world.instance()
    Usage.objects.create(instance=instance, next_read_at=world.now, pids=60, pids_limit=64)
    world.engine.rename(instance.container_name, "c0ffee")
    look(world, instance)
    return instance


def test_a_pause_ends_what_is_told_and_a_resume_finds_it_anew(world: World, odd: Instance) -> None:
    a_channel()
    assert (open_kinds(), len(told_after(world, 1))) == (KINDS, 2)
    paused = service.pause("c1")
    assert (open_kinds(), paused.finding, Usage.objects.get().warned) == ([], "", [])
    assert set(Incident.objects.values_list("resolution", flat=True)) == {"paused"}
    assert told_after(world, 30) == ["ops resolved info c1"] * 2
    look(world, odd)
    assert (open_kinds(), told_after(world, 5 * HOUR)) == ([], [])
    service.resume("c1")
    look(world, odd)
    assert (open_kinds(), len(told_after(world, 1))) == (KINDS, 2)


def test_a_process_killed_before_a_pause_is_told_to_nobody(world: World, odd: Instance) -> None:
    world.engine.kill_child("c0ffee")
    Usage.objects.update(oom_at=world.now, oom_since=world.now)
    service.pause("c1")
    world.clock.advance(3)
    judge_ooms(world.outside)
    assert (open_kinds(), Usage.objects.get().oom_since) == ([], None)


@pytest.mark.django_db(transaction=True)
def test_a_pause_during_a_reading_is_not_undone_by_it(
    world: World, odd: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.pause("c1")
    service.resume("c1")

    def paused_meanwhile(*told: object) -> None:
        service.pause("c1")

    monkeypatch.setattr("instances.monitoring.resources._tell", paused_meanwhile)
    near(odd, world)
    assert Usage.objects.get().warned == []
