"""An adopted instance is one like any other: checked, restarted, updated, validated and removed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from instances.containers.spec import ContainerSpec, previous_name
from instances.errors import DockmgrError, EngineUnreachable, NoSuchCall, PermanentError
from instances.models import Incident, Instance, Plan
from instances.operations import service
from instances.operations.abandon import abandon
from tests.factories import ASKED, World, health_of
from tests.fakes.facts import image_facts
from tests.fakes.outside import fails, passes
from tests.fast.conftest import Run
from tests.fast.strangers import NAME, PORT, adopted, described, existing, facts_of, refused, words
from tests.fast.updates import update

pytestmark = pytest.mark.django_db

NEWER = "registry.example.com/agent:2.0"


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
    assert world.restart().status == "failed"
    assert facts_of(world).id == stranger
    assert world.engine.stops == {}


def test_a_restart_stops_and_starts_the_container_itself(world: World, run: Run) -> None:
    instance = adopted(world, run)
    assert instance.stop_timeout == 77
    before = described(world)
    assert world.restart().status == "succeeded"
    assert facts_of(world).id == instance.container_id
    assert (world.engine.stops, world.engine.starts) == ({NAME: 1}, {NAME: 1})
    assert described(world) == before
    world.engine.change(NAME, state="exited")
    world.engine.taken_ports.add(("0.0.0.0", PORT))
    ran = run("restart", "--customer-id", "c1", "--json")
    assert (ran.code, ran.document["error"]) == (1, f"Port {PORT} of 0.0.0.0 is already allocated.")
    assert facts_of(world).id == instance.container_id
    assert Instance.objects.get().port == PORT, "its port is never moved"


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
    world.engine.registry[NEWER] = image_facts("agent-3", volumes=("/data", "/cache"))
    told = update(world, image=NEWER).error
    assert "declares a volume at /cache, which" in told, "those of an image are held against its own mounts"


def test_an_update_that_fails_puts_the_container_itself_back(world: World, run: Run) -> None:
    instance = adopted(world, run)
    before = described(world)
    world.engine.registry[NEWER] = image_facts("bad")
    bad = image_facts("bad").id
    world.probe.answers[PORT] = lambda: fails() if facts_of(world).image_id == bad else passes()
    assert update(world, image=NEWER).status == "rolled_back"
    assert facts_of(world).id == instance.container_id
    assert described(world) == before
    assert world.engine.containers == [NAME]


@pytest.mark.parametrize(
    ("policy", "state", "image"),
    [
        ({"Name": "always"}, "running", "agent-2"),
        ({"Name": "on-failure", "MaximumRetryCount": 5}, "exited", "bad"),
    ],
)
def test_an_engine_that_restarts_never_runs_the_old_container_beside_the_new(
    world: World, run: Run, policy: dict[str, Any], state: str, image: str
) -> None:
    adopted(world, run, RestartPolicy=policy)
    before = described(world)
    world.engine.change(NAME, state=state)
    world.engine.registry[NEWER] = image_facts(image)
    bad = image_facts("bad").id
    world.probe.answers[PORT] = lambda: fails() if facts_of(world).image_id == bad else passes()
    held: list[str] = []
    start = world.engine.start

    def note_and_start(container: str) -> None:
        stopped = [n for n in world.engine.containers if facts_of(world, n).state in ("exited", "created")]
        held.extend(
            facts_of(world, n).restart_policy for n in stopped if n != facts_of(world, container).name
        )
        start(container)

    world.engine.start = note_and_start  # type: ignore[method-assign]
    update(world, image=NEWER)
    assert set(held) == {"no"}
    assert described(world) == before
    assert facts_of(world).restart_policy == policy["Name"]


@pytest.mark.parametrize(
    ("error", "image", "ends"),
    [
        (NoSuchCall("Podman 4"), "agent-2", "succeeded"),
        (NoSuchCall("Podman 4"), "bad", "rolled_back"),
        (PermanentError("A proxy of the socket lets no such call through."), "agent-2", "rolled_back"),
    ],
)
def test_an_engine_that_changes_no_restart_policy_is_no_trap(
    world: World, run: Run, error: DockmgrError, image: str, ends: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    adopted(world, run, RestartPolicy={"Name": "always"})
    world.engine.registry[NEWER] = image_facts(image)
    bad = image_facts("bad").id
    world.probe.answers[PORT] = lambda: fails() if facts_of(world).image_id == bad else passes()

    def refuses(_container: str, _policy: dict[str, Any]) -> None:
        raise error

    monkeypatch.setattr(world.engine, "set_restart_policy", refuses)
    done = update(world, image=NEWER)
    assert (done.status, "Not undone" in done.error) == (ends, False)
    assert world.engine.containers == [NAME]
    assert (facts_of(world).state, facts_of(world).restart_policy) == ("running", "always")


def test_what_an_abandoned_update_took_from_it_a_restart_gives_back(world: World, run: Run) -> None:
    instance = adopted(world, run, RestartPolicy={"Name": "always"})
    world.engine.registry[NEWER] = image_facts("agent-2")
    bad = image_facts("agent-2").id
    world.probe.answers[PORT] = lambda: fails() if facts_of(world).image_id == bad else passes()
    world.clock.at(1, lambda: setattr(world.engine, "unreachable", True))
    operation = service.begin_update("c1", ASKED, image=NEWER, outside=world.outside)
    service.carry_on(operation, world.outside)
    world.engine.unreachable = False
    abandon(str(operation.pk), replace(ASKED, reason="to see"), world.outside)
    assert facts_of(world, previous_name(NAME)).restart_policy == "no"
    assert world.restart().status == "succeeded"
    assert facts_of(world).id == instance.container_id
    assert facts_of(world).restart_policy == "always"


def test_the_plans_way_of_updating_does_not_hold_for_it(world: World, run: Run) -> None:
    Plan.objects.filter(name="pro").update(data_path=None, update_strategy="start_first")
    adopted(world, run)
    operation = service.begin_update("c1", ASKED, image=NEWER, outside=world.outside)
    assert operation.params["strategy"] == "recreate"


def test_a_lost_container_is_made_again_as_it_was_also_where_its_maker_had_not_joined_all_networks(
    world: World, run: Run
) -> None:
    instance = adopted(world, run)
    before = described(world)
    world.engine.lose(NAME)
    create = world.engine.create

    def dies_before_joining(spec: ContainerSpec) -> str:
        identity = create(spec)
        del world.engine._told[identity]["NetworkingConfig"]["EndpointsConfig"]["audit"]
        world.engine.create = create  # type: ignore[method-assign]
        raise EngineUnreachable("The engine did not answer in time.")

    world.engine.create = dies_before_joining  # type: ignore[method-assign]
    assert world.restart().status == "succeeded"
    assert described(world) == before
    assert facts_of(world).labels["dockmgr.customer_id"] == "c1"
    assert instance.volume_name not in world.engine.volumes
    assert run("validate", "--customer-id", "c1", "--json").code == 0


def test_a_port_the_engine_chooses_anew_is_followed(world: World, run: Run) -> None:
    any_port = {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}
    first = adopted(world, run, PortBindings=any_port).port
    assert world.restart().status == "succeeded"
    second = Instance.objects.get()
    assert second.port not in (None, first)
    assert [port.number for port in second.ports.all()] == [second.port]
    world.engine.registry[NEWER] = image_facts("agent-2")
    assert update(world, image=NEWER).status == "succeeded"
    third = Instance.objects.get()
    assert third.port == facts_of(world).ports[8080][1] == second.port
    assert run("check_health", "--customer-id", "c1", "--json").code == 0
    validation = run("validate", "--customer-id", "c1", "--json").document
    assert (validation["valid"], validation["errors"]) == (True, [])


def test_a_lost_one_asks_for_the_port_the_engine_had_chosen(world: World, run: Run) -> None:
    """Where somebody took it meanwhile, it is chosen anew."""
    binding = {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "30000-30010"}]}
    first = adopted(world, run, PortBindings=binding).port
    world.engine.lose(NAME)
    assert world.restart().status == "succeeded"
    assert Instance.objects.get().port == facts_of(world).ports[8080][1] == first
    world.engine.lose(NAME)
    world.engine.taken_ports.add(("127.0.0.1", first or 0))
    assert world.restart().status == "succeeded"
    assert Instance.objects.get().port == facts_of(world).ports[8080][1] != first


def test_what_a_replacement_would_change_is_named_before(world: World, run: Run) -> None:
    any_ports = {
        "8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}],
        "9090/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}],
    }
    existing(world, PortBindings=any_ports)
    assert "The engine chose the host's port for 9090" in " ".join(run(*words()).out.split())
    warnings = run("validate", "--customer-id", "c1", "--json").document["warnings"]
    [text] = [warning["message"] for warning in warnings if warning["code"] == "replacement"]
    assert text == "The engine chose the host's port for 9090: a replacement is published at another one."


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
    assert world.decommission().status == "succeeded"
    assert world.engine.containers == []
    assert "gateway-data" in world.engine.volumes
    row = Instance.objects.get()
    assert (row.env, row.adopted, row.port) == ({}, None, None)


def test_data_that_dockmgr_made_is_deleted_also_when_it_was_adopted(world: World, run: Run) -> None:
    """As after a restored backup that did not know the customer."""
    forgotten = world.instance("newer")
    forgotten.ports.all().delete()
    forgotten.delete()
    words = ("adopt", "--subdomain", "newer.example.com", "--container", "dockmgr-newer")
    assert run(*words, "--customer-id", "newer").code == 0
    assert world.decommission("newer", purge_data=True).status == "succeeded"
    assert "dockmgr-newer-data" not in world.engine.volumes


def test_one_that_was_removed_while_it_waited_aside_is_made_again_as_it_was(world: World, run: Run) -> None:
    instance = adopted(world, run)
    before = described(world)
    world.engine.images["kept"] = world.engine.images[instance.image]
    world.engine.registry[NEWER] = image_facts("bad")
    bad = image_facts("bad").id
    world.probe.answers[PORT] = lambda: fails() if facts_of(world).image_id == bad else passes()
    world.clock.at(1, lambda: world.engine.lose(f"{NAME}.previous"))
    assert update(world, image=NEWER).status == "rolled_back"
    assert described(world) == before
    assert facts_of(world).id == Instance.objects.get().container_id != instance.container_id


def test_one_that_compose_made_anew_is_named_and_taken_over_by_adopting_again(world: World, run: Run) -> None:
    before = adopted(world, run)
    world.engine.lose(NAME)
    made = existing(world, Memory=128 << 20)
    assert run("check_health", "--all").code == 0
    instance = Instance.objects.get()
    assert (instance.finding, instance.container_id) == ("replaced", before.container_id)
    refused(run(*words(subdomain="other.example.com"), "--json"), "Customer c1 has an instance already.")
    assert run(*words()).code == 0
    instance = Instance.objects.get()
    assert (instance.pk, instance.container_id, instance.finding) == (before.pk, made, "")
    assert instance.adopted["HostConfig"]["Memory"] == 128 << 20
    assert [port.number for port in instance.ports.all()] == [PORT]
    assert not Incident.objects.open().exists()
    service.pause("c1")
    world.clock.advance(5)
    world.engine.lose(NAME)
    existing(world)
    assert run(*words()).code == 0
    assert health_of(instance).status == "paused"
    assert service.resume("c1").health.status == "unknown"
