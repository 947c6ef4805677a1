"""After an old backup of the database was restored: what it does not know is listed, and can be adopted."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from instances.containers.orphans import KEPT, PURGED_LATER
from instances.errors import PermanentError
from instances.incidents.acknowledge import acknowledge
from instances.incidents.hosts import watch_all
from instances.incidents.rules import ORPHANS
from instances.models import Host, HostWatch, Incident, Instance
from instances.monitoring.orphans import AT_ONCE, look_for_orphans, orphans_on_all
from tests.factories import World
from tests.fast.conftest import Run
from tests.fast.telling import a_channel, told_after

pytestmark = pytest.mark.django_db


def forget(instance: Instance) -> None:
    """The database is that of a day on which the instance did not exist."""
    instance.ports.all().delete()
    instance.delete()


def test_what_a_restored_database_does_not_know_is_listed_and_adopted(world: World, run: Run) -> None:
    world.instance("known")
    assert run("orphans", "--json").document == []
    forget(world.instance("newer"))
    ran = run("orphans", "--json")
    assert [(row["kind"], row["name"], row["customer_id"]) for row in ran.document] == [
        ("container", "dockmgr-newer", "newer"),
        ("volume", "dockmgr-newer-data", "newer"),
    ]
    assert "dockmgr-newer-data" in run("orphans", "--host", "local").out
    words = ("adopt", "--subdomain", "newer.example.com", "--container", "dockmgr-newer")
    assert run(*words, "--customer-id", "other").code == 2
    assert run(*words, "--customer-id", "newer").code == 0
    assert run("orphans", "--json").document == []
    assert run("daily_health").code == 0
    assert world.engine.containers == ["dockmgr-known", "dockmgr-newer"]


def test_an_engine_out_of_reach_is_said_to_be(world: World, run: Run) -> None:
    world.engine.unreachable = True
    ran = run("orphans")
    assert (ran.code, ran.err.count("\n")) == (3, 1)
    assert run("orphans", "--host", "nowhere").code == 2


def test_other_hosts_are_listed_where_one_is_out_of_reach(world: World, run: Run) -> None:
    forget(world.instance("newer"))
    Host.objects.create(name="away", docker_url="unix:///fake/away.sock")
    world.outside.hosts["unix:///fake/away.sock"].unreachable = True
    ran = run("orphans", "--json")
    assert (ran.code, len(ran.document)) == (3, 2)
    assert ran.err.startswith("Host away was not looked at: ")


def open_orphans() -> list[str]:
    return [found.message for found in Incident.objects.open().filter(kind=ORPHANS)]


def test_what_nobody_meant_is_a_warning_until_it_is_taken_in(world: World, run: Run) -> None:
    world.instance("known")
    newer = world.instance("newer")
    HostWatch.objects.create(host=world.host, answered_at=world.now)
    assert look_for_orphans(world.outside)
    assert not look_for_orphans(world.outside)  # its next turn is a while away
    forget(newer)

    def after_a_while() -> list[str]:
        world.clock.advance(900)
        assert look_for_orphans(world.outside)
        return open_orphans()

    assert after_a_while() == [
        "Host local: 1 container and 1 volume of dockmgr belong to no instance: "
        "dockmgr-newer, dockmgr-newer-data."
    ]
    words = ("--customer-id", "newer", "--subdomain", "newer.example.com", "--container", "dockmgr-newer")
    assert run("adopt", *words).code == 0
    assert after_a_while() == []


def test_what_is_found_after_somebody_has_seen_the_first_is_told_and_what_is_taken_away_is_not(
    world: World,
) -> None:
    a_channel()
    first, second = world.instance("first"), world.instance("second")
    HostWatch.objects.create(host=world.host, answered_at=world.now)

    def told() -> list[str]:
        world.clock.advance(900)
        look_for_orphans(world.outside)
        return told_after(world, 0)

    forget(first)
    assert told() == ["ops opened warning orphans:local"]
    acknowledge(Incident.objects.get().pk, "ann", world.now)
    forget(second)
    assert told() == ["ops opened warning orphans:local"]
    assert Incident.objects.get().acknowledged_at is None
    acknowledge(Incident.objects.get().pk, "ann", world.now)
    world.engine.lose("dockmgr-second")
    assert told() == []


def test_a_container_that_may_serve_its_customer_is_not_called_nobodys(world: World) -> None:
    """As after a restored backup: the instance knows the container from before the update."""
    instance = world.instance()
    Instance.objects.filter(pk=instance.pk).update(container_id="the-one-before")
    HostWatch.objects.create(host=world.host, answered_at=world.now)
    assert look_for_orphans(world.outside)
    assert open_orphans() == [
        "Host local: 1 container of dockmgr may serve a customer though the customer's instance knows "
        "another one: dockmgr-c1."
    ]


def test_data_that_was_kept_on_purpose_is_no_warning(world: World) -> None:
    world.instance("left")
    HostWatch.objects.create(host=world.host, answered_at=world.now)
    world.decommission("left")
    assert look_for_orphans(world.outside)
    assert open_orphans() == []
    assert [row["why"] for row in orphans_on_all([world.host], world.outside)["orphans"]] == [KEPT]


def test_data_that_is_still_to_be_removed_is_not_said_to_be_kept(world: World) -> None:
    world.instance("left")
    HostWatch.objects.create(host=world.host, answered_at=world.now)
    world.engine.fail_next("remove_volume", PermanentError("volume is in use."))
    world.decommission("left", purge_data=True)
    assert look_for_orphans(world.outside)
    assert open_orphans() == []
    [row] = orphans_on_all([world.host], world.outside)["orphans"]
    assert (row["name"], row["why"]) == ("dockmgr-left-data", PURGED_LATER)


def test_each_host_gets_its_turn_where_there_are_more_than_are_looked_at_in_time(
    world: World, settings: Settings
) -> None:
    settings.ORPHANS_INTERVAL = 10
    for number in range(2 * AT_ONCE):
        Host.objects.create(name=f"h{number}", docker_url=f"tcp://h{number}:2376")
    watch_all()
    HostWatch.objects.update(answered_at=world.now)
    for _ in range(3):
        look_for_orphans(world.outside)
        world.clock.advance(10)
    assert not HostWatch.objects.filter(orphans_at=None).exists()
    last = HostWatch.objects.order_by("orphans_at", "pk").values_list("pk", flat=True)
    longest = set(last[:AT_ONCE])
    look_for_orphans(world.outside)
    assert set(HostWatch.objects.filter(orphans_at=world.now).values_list("pk", flat=True)) == longest


def test_an_engine_in_trouble_has_no_turn(world: World) -> None:
    world.instance()
    HostWatch.objects.create(host=world.host, answered_at=world.now)
    world.host_incident()
    assert not look_for_orphans(world.outside)
