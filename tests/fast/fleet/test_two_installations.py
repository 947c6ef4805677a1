"""Two installations on one engine: neither takes, tells of as its own, or removes what the other made."""

from __future__ import annotations

import importlib
from dataclasses import replace
from datetime import timedelta

import pytest
from django.apps import apps
from django.db import connection

from instances.checks.roster import Roster
from instances.containers.orphans import MADE_ELSEWHERE
from instances.containers.spec import INSTALLATION_LABEL, ContainerSpec, is_outdated
from instances.fleet.cleanup import purge_pending, remove_expired
from instances.fleet.sweep import check_here
from instances.models import HostWatch, Incident, Instance, PendingPurge
from instances.models.applied import Applied
from instances.models.installation import NAME, from_the_beginning, installation_id
from instances.monitoring.orphans import look_for_orphans
from tests.factories import IMAGE, World, health_of
from tests.fakes.outside import fails
from tests.fast.conftest import Run

pytestmark = pytest.mark.django_db

THEIRS = {INSTALLATION_LABEL: "theirs"}
DATA = "dockmgr-b1-data"


def made_by_the_other(world: World, customer_id: str = "b1", *, expires: timedelta | None = None) -> Instance:
    """A customer of the other installation, of which this one's database knows nothing."""
    made = world.instance(customer_id)
    made.expires_at = world.now + expires if expires else None
    spec = made.spec()
    labels = {**spec.labels, **THEIRS}
    world.engine.lose(made.container_name)
    world.engine.volumes[made.volume_name] = labels
    world.engine.create(replace(spec, image=IMAGE, labels=labels))
    world.engine.start(made.container_name)
    made.ports.all().delete()
    Instance.objects.filter(pk=made.pk).delete()
    return made


def test_what_is_made_says_whose_it_is_and_its_spec_does_not(world: World) -> None:
    world.provision()
    found = world.engine.inspect("dockmgr-new")
    assert found is not None
    own = {INSTALLATION_LABEL: installation_id()}
    assert own.items() <= found.labels.items()
    assert own.items() <= world.engine.volumes["dockmgr-new-data"].items()
    spec: ContainerSpec = Instance.objects.get().spec()
    assert INSTALLATION_LABEL not in spec.labels
    without = {name: value for name, value in found.labels.items() if name != INSTALLATION_LABEL}
    assert not is_outdated(spec, found.labels)
    assert not is_outdated(spec, without)  # as an older release made it


def test_a_dump_from_before_the_name_was_kept_has_it_as_well() -> None:
    before = installation_id()
    Applied.objects.filter(name=NAME).delete()
    assert installation_id() == before == from_the_beginning(connection)
    keep = importlib.import_module("instances.migrations.0046_installation").keep
    keep(apps, connection.schema_editor())
    assert Applied.objects.get(name=NAME).value == before
    Applied.objects.filter(name=NAME).update(value="from a copy of all rows")
    assert installation_id() == "from a copy of all rows"


def test_the_others_are_named_as_such_and_no_warning(world: World, run: Run) -> None:
    made_by_the_other(world)
    HostWatch.objects.create(host=world.host, answered_at=world.now)
    assert look_for_orphans(world.outside)
    assert not Incident.objects.exists()
    rows = run("orphans", "--json").document
    assert [(row["name"], row["why"]) for row in rows] == [
        ("dockmgr-b1", MADE_ELSEWHERE),
        (DATA, MADE_ELSEWHERE),
    ]


def test_a_container_of_the_other_is_adopted_only_when_that_is_said(world: World, run: Run) -> None:
    made_by_the_other(world)
    words = ("--customer-id", "b1", "--subdomain", "b1.example.com", "--container", "dockmgr-b1")
    many = ("--all", "--label", "dockmgr.managed", "--map", "subdomain={name}.example.com")
    taken = run("adopt", *many, "--map", "customer_id=label:dockmgr.customer_id", "--json")
    assert taken.document["instances"] == []
    refused = run("adopt", *words)
    assert (refused.code, "made by another installation of dockmgr" in refused.err) == (2, True)
    assert run("adopt", *words, "--of-another-installation").code == 0
    assert run("restart", "--customer-id", "b1").code == 0
    assert run("orphans", "--json").document == []


def test_neither_its_tests_nor_what_is_left_of_them_are_tidied(world: World) -> None:
    made_by_the_other(world, expires=timedelta(hours=-1))
    dead = made_by_the_other(world, "b2")
    world.engine.change(dead.container_name, state="dead")
    assert remove_expired(world.outside.engines, world.now) == {"local": []}


def test_data_that_was_to_go_and_is_the_others_by_now_stays(world: World) -> None:
    made_by_the_other(world)
    PendingPurge.objects.create(host=world.host, volume=DATA, customer_id="b1", asked_at=world.now)
    assert purge_pending(world.outside) == []
    assert DATA in world.engine.volumes
    assert not PendingPurge.objects.exists()


@pytest.mark.parametrize(("word", "is_made"), [("", False), ("fresh", False), ("keep", True)])
def test_the_data_of_its_customer_of_the_same_name_is_not_removed(
    world: World, word: str, *, is_made: bool
) -> None:
    made_by_the_other(world)
    world.engine.lose("dockmgr-b1")
    before = world.engine.volumes[DATA]
    done = world.provision("b1", former_data=word)
    assert (done.status == "succeeded") is is_made
    assert ("that of customer b1 of another dockmgr" in done.error) is not is_made
    assert world.engine.volumes[DATA] == before
    if is_made:  # gone on with, it is the customer's own from now on
        assert world.decommission("b1", purge_data=True).status == "succeeded"
        assert DATA not in world.engine.volumes


def test_data_of_the_other_that_was_gone_on_with_is_not_said_to_go_later(world: World) -> None:
    """Once its customer has left nobody could tell it from what the other has made since."""
    made_by_the_other(world)
    world.engine.lose("dockmgr-b1")
    world.provision("b1", former_data="keep")
    world.engine.create(ContainerSpec("backup", IMAGE, {}, {}, volumes={DATA: "/b"}, container_port=1))
    assert world.decommission("b1", purge_data=True).status == "failed"
    world.engine.lose("backup")
    assert world.decommission("b1", purge_data=True).status == "succeeded"
    assert DATA not in world.engine.volumes
    assert not PendingPurge.objects.exists()


def test_a_lost_container_is_not_taken_for_replaced_by_the_others(world: World) -> None:
    own = world.instance("b1")
    labels = {**own.spec().labels, **THEIRS}
    world.engine.lose(own.container_name)
    theirs = world.engine.create(replace(own.spec(), image=IMAGE, labels=labels))
    world.engine.start(theirs)
    world.probe.answers[own.port or 0] = fails
    list(check_here(Roster.of_active(), world.outside))
    told = Incident.objects.get(kind="container").message
    assert told.startswith("The container of b1 is gone, and a container that this dockmgr did not make")
    assert health_of(own).reason == "replaced"
    assert world.restart("b1").status == "failed"
    assert world.decommission("b1", purge_data=False).status == "succeeded"
    assert world.engine.inspect(theirs) is not None
