"""Adopting: what is written down, and what is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from pytest_django.fixtures import Settings

from instances.containers.spec import ContainerSpec, next_name, previous_name
from instances.management.commands import adopt as adopt_command
from instances.models import Host, Instance, Operation, Port
from instances.operations.adoptable import Adoptable, AdoptRequest, look
from instances.outside import Outside
from tests.factories import IMAGE, SECRET, World, health_of
from tests.fakes.facts import image_facts
from tests.fast.conftest import Ran, Run
from tests.fast.strangers import NAME, OWN, PORT, adopted, existing, facts_of, refused, words

pytestmark = pytest.mark.django_db


def test_an_adopted_container_is_an_instance_and_was_not_touched(world: World, run: Run) -> None:
    identity = existing(world)
    before = facts_of(world)
    ran = run(*words(reason="to look after it"), "--json")
    document = {
        key: ran.document[key] for key in ("customer_id", "plan", "host", "container", "port", "image")
    }
    assert (ran.code, document) == (
        0,
        {
            "customer_id": "c1",
            "plan": "pro",
            "host": "local",
            "container": NAME,
            "port": PORT,
            "image": IMAGE,
        },
    )
    assert facts_of(world) == before
    assert (world.engine.starts, world.engine.stops) == ({}, {})
    instance = Instance.objects.get()
    assert (instance.container_id, instance.image_id) == (identity, before.image_id)
    assert instance.env == {"API_KEY": SECRET, "TZ": "UTC"}
    assert [port.number for port in instance.ports.all()] == [PORT]
    assert health_of(instance).status == "healthy"


def test_who_adopted_and_why_is_on_record(world: World, run: Run) -> None:
    instance = adopted(world, run)
    operation = Operation.objects.get()
    assert (operation.kind, operation.status, operation.instance) == ("adopt", "succeeded", instance)
    assert operation.requested_by.startswith("cli:")
    assert operation.finished_at == world.now
    assert [step["detail"] for step in operation.steps] == [f"container {NAME}, left as it is"]


def test_no_secret_is_stored_in_the_clear_or_shown(world: World, run: Run) -> None:
    existing(world)
    ran = run(*words())
    with connection.cursor() as cursor:
        cursor.execute("SELECT env, adopted FROM instances_instance")
        stored = str(cursor.fetchall())
    assert SECRET not in stored and "API_KEY" not in stored and "gateway-data" not in stored
    assert SECRET not in ran.out + ran.err
    assert "API_KEY, TZ" in ran.out and "gateway-data:/data" in ran.out
    assert "customers as gw, audit" in ran.out


def test_adopting_another_way_under_the_same_request_id_is_refused(world: World, run: Run) -> None:
    existing(world)
    run(*words(**{"request-id": "r1"}), "--json")
    ran = run(*words(**{"request-id": "r1", "plan": "free"}), "--json")
    assert (ran.code, "with other arguments" in ran.err) == (2, True)


def test_adopting_twice_with_one_request_id_does_it_once(world: World, run: Run) -> None:
    existing(world)
    first, second = (run(*words(**{"request-id": "r1"}), "--json") for _ in range(2))
    assert (first.code, second.code) == (0, 0)
    assert first.document == second.document
    assert Operation.objects.count() == 1


def a_taken_port(world: World) -> None:
    other = world.instance("other")
    Port.objects.create(host=world.host, number=PORT, instance=other)


def another_host(world: World) -> None:
    Host.objects.create(name="far", docker_url="unix:///fake/far.sock")


def a_namesake(world: World) -> None:
    """An instance that lost its container has the name of the one that is to be adopted."""
    other = world.instance("other")
    Instance.objects.filter(pk=other.pk).update(container=NAME, container_id="gone")


def a_stand_in(world: World) -> None:
    other = world.instance("other")
    existing(world, next_name(other.container_name), PortBindings={})


def a_namesakes_stand_in(world: World) -> None:
    a_namesake(world)
    existing(world, previous_name(NAME), PortBindings={})


CHANGES: dict[str, tuple[Callable[[World], object], dict[str, str], str]] = {
    "a missing container": (
        lambda w: w.engine.lose(NAME), {}, "There is no container gateway on host local."
    ),
    "a malformed container name": (
        lambda w: None, {"container": "../x"}, "The container's name is malformed."
    ),
    "a malformed customer": (lambda w: None, {"customer-id": "A_B"}, "The customer id is malformed"),
    "a malformed subdomain": (lambda w: None, {"subdomain": "a..b"}, "The subdomain is malformed"),
    "an unknown plan": (lambda w: None, {"plan": "gold"}, "There is no plan named gold; known are"),
    "an unknown host": (lambda w: None, {"host": "moon"}, "There is no host named moon; known are"),
    "one host of several": (
        another_host, {}, "There is more than one host: name the container's with --host."
    ),
    "a customer with an instance": (
        lambda w: w.instance("c1"), {}, "Customer c1 has an instance already."
    ),
    "a taken subdomain": (
        lambda w: w.instance("other"), {"subdomain": "other.example.com"},
        "The subdomain other.example.com is taken.",
    ),
    "a taken port": (a_taken_port, {}, f"Port {PORT} of host local is reserved for other."),
    "a managed container": (
        lambda w: w.instance("other"), {"container": "dockmgr-other"},
        "The container dockmgr-other has the labels of customer other",
    ),
    "the name of a managed container": (
        a_namesake, {}, "The container gateway is managed already, as that of other."
    ),
    "a name that updates of another one need": (
        a_stand_in, {"container": "dockmgr-other.next"},
        "The name dockmgr-other.next is kept for updates of other: rename the container.",
    ),
    "a name that updates of another adopted one need": (
        a_namesakes_stand_in, {"container": f"{NAME}.previous"},
        f"The name {NAME}.previous is kept for updates of other: rename the container.",
    ),
    "a stopped container": (
        lambda w: w.engine.stop(NAME, 1), {},
        "The container gateway is exited: only a running one can be adopted.",
    ),
    "a paused container": (
        lambda w: w.engine.change(NAME, state="paused"), {},
        "The container gateway is paused: only a running one can be adopted.",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("prepare", "changes", "sentence"), CHANGES.values(), ids=CHANGES)
def test_what_cannot_be_adopted_is_refused_in_one_sentence(
    world: World, run: Run, prepare: Callable[[World], object], changes: dict[str, str], sentence: str
) -> None:
    existing(world)
    prepare(world)
    before = Instance.objects.count()
    refused(run(*words(**changes), "--json"), sentence)
    assert Instance.objects.count() == before
    assert not Operation.objects.exists()


KINDS: dict[str, tuple[dict[str, Any], str]] = {
    "that removes itself": ({"AutoRemove": True}, "removes itself when it stops"),
    "in another's network": ({"NetworkMode": "container:abc"}, "shares the network of another container"),
    "with other ports only": (
        {"PortBindings": {f"{p}/tcp": [{"HostIp": "", "HostPort": str(p)}] for p in (81, 82)}},
        "asks for health; it publishes 81, 82.",
    ),
}


@pytest.mark.parametrize(("host", "words_of_it"), KINDS.values(), ids=KINDS)
def test_a_container_of_the_wrong_kind_is_refused(
    world: World, run: Run, host: dict[str, Any], words_of_it: str
) -> None:
    existing(world, **host)
    ran = run(*words(), "--json")
    refused(ran, "The container gateway ")
    assert words_of_it in ran.err


def test_a_container_of_a_swarm_service_is_refused(world: World, run: Run) -> None:
    existing(world)
    world.engine._told[facts_of(world).id]["Labels"]["com.docker.swarm.task.id"] = "t1"
    refused(run(*words(), "--json"), "The container gateway belongs to a swarm service")


def test_an_adopted_container_is_not_adopted_again(world: World, run: Run) -> None:
    adopted(world, run)
    refused(
        run(*words(**{"customer-id": "c2", "subdomain": "c2.example.com"}), "--json"),
        "The container gateway is managed already, as that of c1.",
    )


def test_an_engine_out_of_reach_is_said_to_be(world: World, run: Run) -> None:
    world.engine.unreachable = True
    assert run(*words(), "--json").code == 3


def test_a_container_with_another_single_port_is_asked_there(world: World, run: Run) -> None:
    binding = {"18789/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18999"}]}
    instance = adopted(world, run, PortBindings=binding)
    assert (instance.port, instance.container_port) == (18999, 18789)


def test_a_container_made_by_an_image_id_is_known_by_that(world: World, run: Run) -> None:
    identity = image_facts("agent-1").id
    raw = copy.deepcopy(OWN)
    world.engine.start(world.engine.create(ContainerSpec(NAME, identity, {}, {}, raw=raw)))
    run(*words())
    assert Instance.objects.get().image == identity


def test_what_is_kept_of_it_is_encrypted_with_the_newest_key(
    world: World, run: Run, settings: Settings
) -> None:
    before = adopted(world, run).adopted
    new = Fernet.generate_key()
    settings.ENCRYPTION_KEYS = [new, *settings.ENCRYPTION_KEYS]
    assert run("rotate_keys", "--json").code == 0
    settings.ENCRYPTION_KEYS = [new]
    assert Instance.objects.get().adopted == before


def test_who_asks_for_the_same_while_it_is_looked_at_is_told_of_the_same(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    existing(world)
    others: list[Ran] = []

    def slowly(order: AdoptRequest, outside: Outside) -> Adoptable:
        monkeypatch.setattr(adopt_command, "look", look)
        others.append(run(*words(**{"request-id": "r1"}), "--json"))
        return look(order, outside)

    monkeypatch.setattr(adopt_command, "look", slowly)
    first = run(*words(**{"request-id": "r1"}), "--json")
    assert (first.code, first.document) == (0, others[0].document)
    assert Operation.objects.count() == 1
