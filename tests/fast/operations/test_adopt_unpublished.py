"""A container that publishes no port is asked at its own address, wherever its next start puts it."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from instances.errors import RequestError
from instances.models import Instance, Plan, Port
from instances.operations.adopt import adopt
from instances.operations.adoptable import AdoptRequest, look
from tests.factories import ASKED, World
from tests.fakes.outside import fails
from tests.fast.conftest import Run
from tests.fast.side_by_side import side_by_side
from tests.fast.strangers import NAME, existing, facts_of, refused, words
from tests.fast.updates import publish

pytestmark = pytest.mark.django_db

UNPUBLISHED: dict[str, Any] = {"PortBindings": {}}


def own_url(world: World) -> str:
    return f"http://{facts_of(world).address}:8080/healthz"


def looked_at(run: Run) -> dict[str, Any]:
    """The one check of all."""
    [check] = run("check_health", "--all", "--json").document["instances"]
    assert isinstance(check, dict)
    return check


def test_it_takes_no_port_and_is_followed_to_the_address_of_its_next_start(world: World, run: Run) -> None:
    existing(world, **UNPUBLISHED)
    adopted = run(*words(), "--json")
    assert (adopted.code, adopted.document["never_healthy"]) == (0, False)
    assert adopted.document["access_url"] == "https://c1.example.com"
    assert (Instance.objects.get().port, Port.objects.exists()) == (None, False)
    assert looked_at(run)["status"] == "healthy"
    before = own_url(world)
    assert world.restart().status == "succeeded"
    assert own_url(world) != before
    world.probe.answers[before] = fails("http_503")  # a stranger has the address now
    assert looked_at(run)["status"] == "healthy"
    publish(world)
    assert run("update", "--customer-id", "c1", "--json").document["changed"]
    assert (facts_of(world).ports, Instance.objects.get().port, Port.objects.exists()) == ({}, None, False)
    assert looked_at(run)["status"] == "healthy"
    world.probe.answers[own_url(world)] = fails("http_503")
    assert looked_at(run)["error"] == "The answer has HTTP status 503."


def test_without_its_engine_nothing_is_known_of_it(world: World, run: Run) -> None:
    existing(world, **UNPUBLISHED)
    assert run(*words()).code == 0
    world.engine.unreachable = True
    assert (looked_at(run)["status"], looked_at(run)["reason"]) == ("unknown", "engine")


def test_what_does_not_answer_there_is_refused_with_the_place(world: World, run: Run) -> None:
    existing(world, **UNPUBLISHED)
    world.probe.answers[own_url(world)] = fails("refused")
    ran = run(*words(), "--json")
    assert ran.code == 1
    assert f"at {own_url(world)} the connection was refused" in ran.document["error"]
    assert "it publishes no port, so it is asked in its own network" in ran.document["error"]


def test_in_no_network_the_engine_is_believed_where_the_plan_says_so(world: World, run: Run) -> None:
    existing(world, PortBindings={}, NetworkMode="none")
    world.plan.health = {"kind": "docker"}
    world.plan.save()
    world.engine.change(NAME, health="healthy", networks={})
    assert run(*words()).code == 0
    assert looked_at(run)["status"] == "healthy"


def test_without_a_port_and_an_address_nothing_can_be_asked(world: World, run: Run) -> None:
    existing(world, PortBindings={}, NetworkMode="none")
    world.engine.change(NAME, networks={})
    refused(
        run(*words(), "--json"), "The container gateway does not publish TCP port 8080, at which plan pro"
    )


def test_in_the_hosts_network_it_is_asked_at_the_host(world: World, run: Run) -> None:
    existing(world, PortBindings={}, NetworkMode="host")
    world.probe.answers["http://127.0.0.1:8080/healthz"] = fails("http_503")
    assert (
        "at http://127.0.0.1:8080/healthz"
        in run(*words(), "--accept-host-access", "--json").document["error"]
    )


@pytest.mark.django_db(transaction=True)
def test_two_customers_at_the_same_moment_do_not_get_the_same_container(world: World) -> None:
    existing(world, **UNPUBLISHED)
    seen = [look(AdoptRequest(name, f"{name}.example.com", NAME), world.outside) for name in ("c1", "c2")]
    [wrong] = side_by_side(*[partial(adopt, each, world.outside, ASKED) for each in seen])
    assert isinstance(wrong, RequestError)
    owner = Instance.objects.get()
    assert str(wrong) == f"The container {NAME} is managed already, as that of {owner.customer_id}."


def test_it_is_asked_at_its_own_port_whatever_port_its_plan_gives_to_new_ones(world: World, run: Run) -> None:
    existing(world, **UNPUBLISHED)
    assert run(*words()).code == 0
    Plan.objects.update(container_port=3000)
    assert ":8080/" in Instance.objects.get().health_url
    Plan.objects.update(health={"port": 9000})
    assert ":9000/" in Instance.objects.get().health_url
