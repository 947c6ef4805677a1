"""Customers share a bridge of their own: made before the first container, remade when lost."""

from __future__ import annotations

import pytest

from instances import documents
from instances.containers.facts import NetworkFacts
from instances.errors import PermanentError
from instances.models import Host, Instance
from instances.operations import provision
from tests.factories import World
from tests.fast.in_the_making import a_network_in_the_making
from tests.fast.updates import publish, update

pytestmark = pytest.mark.django_db


def network_of(world: World, container: str) -> str:
    facts = world.engine.inspect(container)
    assert facts and facts.state == "running"
    return facts.network_mode


def test_the_first_container_finds_the_bridge_made_and_the_next_one_there(world: World) -> None:
    Host.objects.update(network="customers")
    world.provision("one")
    made = world.engine.networks["customers"]
    assert made.labels == {"dockmgr.managed": "true"}
    world.engine.lose("dockmgr-one")
    assert world.restart("one").status == "succeeded"
    assert world.engine.networks == {"customers": made}
    assert network_of(world, "dockmgr-one") == "customers"


def test_a_process_that_is_late_takes_the_bridge_the_other_one_made(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = world.engine.create_network

    def slower(name: str, options: dict[str, str], labels: dict[str, str]) -> None:
        create(name, options, labels)
        raise PermanentError("There is one already.")

    monkeypatch.setattr(world.engine, "create_network", slower)
    assert world.provision().status == "succeeded"


def test_a_process_that_is_late_waits_for_a_bridge_that_can_not_be_seen_yet(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = a_network_in_the_making(world, monkeypatch)
    assert world.provision().status == "succeeded"
    assert len(refused) == 2


def test_a_network_of_somebody_else_that_joins_its_containers_is_refused_in_a_sentence(world: World) -> None:
    world.engine.networks["dockmgr"] = NetworkFacts("n1", "dockmgr", "bridge", {}, {})
    result = provision(customer_id="new", subdomain="new.example.com", plan="pro", env={})
    assert not result.success
    assert "The network dockmgr is not dockmgr's, and lets containers reach each other" in str(result.error)
    assert world.nothing_is_left_of("new") and "dockmgr" in world.engine.networks


def test_a_stopped_customer_whose_network_was_pruned_joins_the_one_made_anew(world: World) -> None:
    instance = world.instance()
    world.engine.stop(instance.container_name, 1)
    del world.engine.networks["dockmgr"]
    assert world.restart().status == "succeeded"
    assert network_of(world, instance.container_id) == "dockmgr"


def test_a_customer_from_before_is_moved_by_the_next_update_and_by_nothing_else(world: World) -> None:
    publish(world, "agent-1")
    instance = world.instance()
    world.engine.change(instance.container_name, network_mode="default", networks={})
    assert world.restart().status == "succeeded"
    assert network_of(world, instance.container_id) == "default"
    assert documents.operation(update(world))["changed"] is True
    assert network_of(world, Instance.objects.get().container_id) == "dockmgr"
    assert documents.operation(update(world))["changed"] is False


def test_a_lost_container_is_remade_in_a_lost_network(world: World) -> None:
    instance = world.instance()
    world.engine.lose(instance.container_name)
    world.engine.networks.clear()
    assert world.restart().status == "succeeded"
    assert network_of(world, instance.container_name) == "dockmgr"


def test_an_engine_that_can_not_make_it_says_why(world: World) -> None:
    refusal = PermanentError("The Docker Engine did not create network dockmgr: no room.")
    world.engine.fail_next("create_network", refusal)
    done = world.provision()
    assert (done.status, done.error) == ("failed", str(refusal))
