"""Adopting: what is written down, what is refused, and that an adopted instance is one like any other."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from instances.engine.port import ContainerFacts
from instances.errors import EngineUnreachable
from instances.models import Host, Instance, Operation, Plan, Port
from instances.operations import calls
from instances.spec import ContainerSpec
from tests.factories import ASKED, IMAGE, SECRET, World, health_of
from tests.fakes.facts import image_facts
from tests.fakes.outside import fails, passes
from tests.fast.conftest import Ran, Run

pytestmark = pytest.mark.django_db

NEWER = "registry.example.com/agent:2.0"
NAME = "gateway"
PORT = 18080
OWN: dict[str, Any] = {
    "Config": {"Labels": {"team": "a"}, "Cmd": [f"--token={SECRET}"], "StopTimeout": 77},
    "HostConfig": {
        "NetworkMode": "customers",
        "Binds": ["gateway-data:/data", "/etc/gateway:/conf:ro"],
        "PortBindings": {"8080/tcp": [{"HostIp": "0.0.0.0", "HostPort": str(PORT)}]},
        "Memory": 64 << 20,
        "RestartPolicy": {"Name": "always"},
    },
    "Networks": {
        "customers": {"IPAMConfig": None, "Links": None, "Aliases": ["gw"], "DriverOpts": None},
        "audit": {"IPAMConfig": None, "Links": None, "Aliases": None, "DriverOpts": None},
    },
}


def existing(world: World, name: str = NAME, **host: Any) -> str:
    """A container somebody else made and runs."""
    document = copy.deepcopy(OWN)
    document["HostConfig"] |= host
    identity = world.engine.create(
        ContainerSpec(name=name, image=IMAGE, labels={}, env={"API_KEY": SECRET, "TZ": "UTC"}, raw=document)
    )
    world.engine.start(identity)
    world.engine.starts.clear()
    return identity


def words(**changes: str) -> list[str]:
    options = {"customer-id": "c1", "subdomain": "c1.example.com", "container": NAME, **changes}
    return ["adopt", *(word for key, value in options.items() for word in (f"--{key}", value))]


def adopted(world: World, run: Run, **host: Any) -> Instance:
    existing(world, **host)
    assert run(*words()).code == 0
    return Instance.objects.get()


def facts_of(world: World, container: str = NAME) -> ContainerFacts:
    facts = world.engine.inspect(container)
    assert facts
    return facts


def described(world: World, container: str = NAME) -> dict[str, Any]:
    """What a container is, without what each has of its own, and without our labels."""
    answer = world.engine.describe(container)
    assert answer
    labels = {k: v for k, v in answer["Config"]["Labels"].items() if not k.startswith("dockmgr.")}
    config = {k: v for k, v in answer["Config"].items() if k not in ("Hostname", "Image", "Env")}
    return {
        "Config": {**config, "Labels": labels},
        "Env": facts_of(world, container).env,
        "HostConfig": answer["HostConfig"],
        "Networks": answer["NetworkSettings"]["Networks"],
    }


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
    assert health_of(instance).status == "unknown"


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


CHANGES: dict[str, tuple[Callable[[World], object], dict[str, str], str]] = {
    "a missing container": (
        lambda w: w.engine.lose(NAME), {}, "There is no container gateway on host local."
    ),
    "a malformed container name": (lambda w: None, {"container": "../x"}, "The container's name is malformed."),
    "a malformed customer": (lambda w: None, {"customer-id": "A_B"}, "The customer id is malformed"),
    "a malformed subdomain": (lambda w: None, {"subdomain": "-x"}, "The subdomain is malformed"),
    "an unknown plan": (lambda w: None, {"plan": "gold"}, "There is no plan of that name; known are"),
    "an unknown host": (lambda w: None, {"host": "moon"}, "There is no host of that name."),
    "one host of several": (another_host, {}, "There is more than one host: name the container's with --host."),
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
        "The container dockmgr-other is managed already.",
    ),
    "the name of a managed container": (
        a_namesake, {}, "The container gateway is managed already, as that of other."
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


def refused(ran: Ran, sentence: str) -> None:
    assert (ran.code, ran.err.count("\n")) == (2, 1), ran
    assert ran.err.startswith(sentence)
    assert ran.document == {"error": ran.err.strip()}


KINDS: dict[str, tuple[dict[str, Any], str]] = {
    "that removes itself": ({"AutoRemove": True}, "removes itself when it stops"),
    "in another's network": ({"NetworkMode": "container:abc"}, "shares the network of another container"),
    "without a port": ({"PortBindings": {}}, "does not publish TCP port 8080"),
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
    world.engine.change(NAME)
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


def test_a_sweep_sees_an_adopted_instance_by_the_list_alone(world: World, run: Run) -> None:
    adopted(world, run)
    world.engine.fail_next("inspect", EngineUnreachable("A healthy instance must not be inspected."))
    report = run("daily_health", "--json").document
    assert (report["healthy"], report["restarted"]) == (1, [])
    [check] = report["instances"]
    assert check["container_state"] == "running"


def test_a_strangers_container_under_an_adopted_name_is_not_taken_for_it(world: World, run: Run) -> None:
    adopted(world, run)
    world.engine.lose(NAME)
    stranger = existing(world)
    report = run("check_health", "--customer-id", "c1", "--json")
    assert report.code == 0  # it answers at the address all the same
    assert run("restart", "--customer-id", "c1", "--json").code == 1
    assert facts_of(world).id == stranger
    assert world.engine.stops == {}


def test_a_restart_stops_and_starts_the_container_itself(world: World, run: Run) -> None:
    instance = adopted(world, run)
    before = described(world)
    assert run("restart", "--customer-id", "c1", "--json").code == 0
    assert facts_of(world).id == instance.container_id
    assert (world.engine.stops, world.engine.starts) == ({NAME: 1}, {NAME: 1})
    assert described(world) == before


def test_it_is_given_the_time_to_stop_that_it_asks_for(world: World, run: Run) -> None:
    assert adopted(world, run).stop_timeout == 77


def test_a_lost_container_is_made_again_as_it_was(world: World, run: Run) -> None:
    instance = adopted(world, run)
    before = described(world)
    world.engine.lose(NAME)
    assert run("restart", "--customer-id", "c1", "--json").code == 0
    assert described(world) == before
    assert facts_of(world).labels["dockmgr.customer_id"] == "c1"
    assert instance.volume_name not in world.engine.volumes
    assert run("validate", "--customer-id", "c1", "--json").code == 0


def test_an_update_keeps_all_but_the_image(world: World, run: Run) -> None:
    adopted(world, run)
    before = described(world)
    world.engine.registry[NEWER] = image_facts("agent-2")
    ran = run("update", "--customer-id", "c1", "--image", NEWER, "--json")
    assert (ran.code, ran.document["status"]) == (0, "succeeded"), ran
    assert described(world) == before
    assert facts_of(world).image_id == image_facts("agent-2").id
    assert world.engine.containers == [NAME]
    assert run("validate", "--customer-id", "c1", "--json").code == 0


def test_an_update_that_fails_puts_the_container_itself_back(world: World, run: Run) -> None:
    instance = adopted(world, run)
    before = described(world)
    world.engine.registry[NEWER] = image_facts("bad")
    bad = image_facts("bad").id
    running = lambda: facts_of(world, NAME).image_id  # noqa: E731
    world.probe.answers[PORT] = lambda: fails() if running() == bad else passes()
    ran = run("update", "--customer-id", "c1", "--image", NEWER, "--json")
    assert (ran.code, ran.document["status"]) == (1, "rolled_back")
    assert facts_of(world).id == instance.container_id
    assert described(world) == before
    assert world.engine.containers == [NAME]


def test_the_plans_way_of_updating_does_not_hold_for_it(world: World, run: Run) -> None:
    Plan.objects.filter(name="pro").update(data_path=None, update_strategy="start_first")
    adopted(world, run)
    operation = calls.begin_update("c1", ASKED, image=NEWER, outside=world.outside)
    assert operation.params["strategy"] == "recreate"


def test_volumes_of_the_new_image_are_held_against_its_own_mounts(world: World, run: Run) -> None:
    adopted(world, run)
    world.engine.registry[NEWER] = image_facts("agent-2", volumes=("/data",))
    assert run("update", "--customer-id", "c1", "--image", NEWER, "--json").code == 0
    world.engine.registry[NEWER] = image_facts("agent-3", volumes=("/cache",))
    ran = run("update", "--customer-id", "c1", "--image", NEWER, "--json")
    assert "declares a volume at /cache" in ran.document["error"]


def test_a_container_made_before_the_process_died_is_made_again_with_all_networks(
    world: World, run: Run
) -> None:
    adopted(world, run)
    before = described(world)
    world.engine.lose(NAME)
    create = world.engine.create

    def dies_before_joining(spec: ContainerSpec) -> str:
        identity = create(spec)
        del world.engine._told[identity]["NetworkingConfig"]["EndpointsConfig"]["audit"]
        world.engine.create = create  # type: ignore[method-assign]
        raise EngineUnreachable("The engine did not answer in time.")

    world.engine.create = dies_before_joining  # type: ignore[method-assign]
    assert run("restart", "--customer-id", "c1", "--json").code == 0
    assert described(world) == before


def test_a_port_the_engine_chooses_anew_is_followed(world: World, run: Run) -> None:
    any_port = {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}
    first = adopted(world, run, PortBindings=any_port).port
    assert run("restart", "--customer-id", "c1", "--json").code == 0
    second = Instance.objects.get()
    assert second.port not in (None, first)
    assert [port.number for port in second.ports.all()] == [second.port]
    world.engine.registry[NEWER] = image_facts("agent-2")
    assert run("update", "--customer-id", "c1", "--image", NEWER, "--json").code == 0
    third = Instance.objects.get()
    assert third.port == facts_of(world).ports[8080][1] != second.port
    assert run("check_health", "--customer-id", "c1", "--json").code == 0


def test_its_port_is_never_moved(world: World, run: Run) -> None:
    instance = adopted(world, run)
    world.engine.change(NAME, state="exited")
    world.engine.taken_ports.add(("0.0.0.0", PORT))
    ran = run("restart", "--customer-id", "c1", "--json")
    assert (ran.code, ran.document["error"]) == (1, f"Port {PORT} of 0.0.0.0 is already allocated.")
    assert facts_of(world).id == instance.container_id
    assert Instance.objects.get().port == PORT


def test_drift_of_an_adopted_container_is_named(world: World, run: Run) -> None:
    adopted(world, run)
    assert run("validate", "--customer-id", "c1", "--json").document["errors"] == []
    world.engine.reconfigure(NAME, Memory=1)
    errors = run("validate", "--customer-id", "c1", "--json").document["errors"]
    assert errors == [{"code": "adopted", "message": "differs in HostConfig.Memory"}]


def test_its_data_is_not_ours_to_delete(world: World, run: Run) -> None:
    adopted(world, run)
    ran = run("decommission", "--customer-id", "c1", "--purge-data", "--json")
    refused(ran, "c1 was adopted: dockmgr did not make its volumes")
    assert world.engine.containers == [NAME]


def test_a_decommissioned_one_leaves_its_volumes_and_no_secret(world: World, run: Run) -> None:
    adopted(world, run)
    assert run("decommission", "--customer-id", "c1", "--json").code == 0
    assert world.engine.containers == []
    assert "gateway-data" in world.engine.volumes
    row = Instance.objects.get()
    assert (row.env, row.adopted, row.port) == ({}, None, None)
