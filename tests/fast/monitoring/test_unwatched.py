"""What nobody looks at any more is told to nobody, and found anew when somebody looks again."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from instances.checks.roster import Roster
from instances.fleet.sweep import check_here
from instances.incidents.lifecycle import Alarm
from instances.models import Health, Host, Incident, Instance, Usage
from instances.monitoring.alarms import raise_alarm
from instances.monitoring.resources import judge_ooms, settle
from instances.operations import service
from tasks import maintenance
from tests.factories import World
from tests.fast.telling import HOUR, a_channel, told_after
from tests.rows import row

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

    monkeypatch.setattr("instances.monitoring.resources.raise_alarm", paused_meanwhile)
    near(odd, world)
    assert Usage.objects.get().warned == []


OUTSIDE, END = "outside:proxy:203.0.113.7", "certificate:outside:0a1b"


def test_a_part_that_is_switched_off_leaves_nothing_open(world: World, settings: Settings) -> None:
    instance = world.instance()
    Usage.objects.create(instance=instance, next_read_at=world.now, warned=["disk", "memory"])
    for key, kind, cause, of in (
        ("log:quota:c1", "log", "log", {"instance": instance}),
        (OUTSIDE, "outside", "proxy", {}),
        (END, "certificate", "outside", {}),
        ("resources:memory:c1", "resources", "memory", {"instance": instance}),
        ("resources:disk:c1", "resources", "disk", {"instance": instance}),
        ("orphans:local", "orphans", "1 volume", {"host": world.host}),
        ("host:local", "host", "engine", {"host": world.host}),
        ("certificate:local", "certificate", "server", {"host": world.host}),
    ):
        raise_alarm(Alarm(key, kind, cause, "so it is", **of), world.now)
    for switched_off, ended, warned in (
        ("WATCH_INTERVAL", set(), ["disk", "memory"]),
        ("EVENTS", {"log:quota:c1"}, ["disk", "memory"]),
        ("OUTSIDE_INTERVAL", {OUTSIDE, END}, ["disk", "memory"]),
        ("USAGE_INTERVAL", {"resources:memory:c1"}, ["disk"]),
        ("DISK_INTERVAL", {"resources:disk:c1"}, []),
        ("ORPHANS_INTERVAL", {"orphans:local"}, []),
    ):
        with row(switched_off):
            before = open_keys()
            setattr(settings, switched_off, 0)
            maintenance.tidy_up()
            assert before - open_keys() == ended
            assert Usage.objects.get().warned == warned


def open_keys() -> set[str]:
    return set(Incident.objects.open().values_list("key", flat=True))


@pytest.mark.parametrize("how", ["deleted", "left"])
def test_nobody_is_told_on_of_a_host_that_nobody_asks(world: World, how: str) -> None:
    host = Host.objects.create(name="h2", docker_url="" if how == "left" else "tcp://h2:2376")
    for key, kind in (("host:h2", "host"), ("certificate:h2", "certificate"), ("orphans:h2", "orphans")):
        raise_alarm(Alarm(key, kind, "engine", "so it is", host=host), world.now)
    if how == "deleted":
        host.delete()
    maintenance.tidy_up()
    assert [row.kind for row in Incident.objects.open()] == (["orphans"] if how == "left" else [])


def test_what_a_pause_of_before_left_open_ends(world: World, odd: Instance) -> None:
    Health.objects.update(status="paused")
    maintenance.tidy_up()
    assert (open_kinds(), Instance.objects.get().finding, Usage.objects.get().warned) == ([], "", [])
