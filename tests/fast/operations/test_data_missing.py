"""Data that is missing is not data that was never there: only provisioning makes storage."""

from __future__ import annotations

from typing import Any

import pytest

from instances import documents
from instances.checks.check_requests import MISSING, request_as_listed, request_for
from instances.checks.observe import observe
from instances.checks.record import record
from instances.containers.spec import ContainerSpec, labels_for
from instances.errors import DataMissing
from instances.fleet.sweep import sweep_here
from instances.health.response import Outcome
from instances.models import Host, Incident, Instance, Operation, Plan
from instances.operations import service
from instances.operations.procedures import restart
from instances.operations.steps import approval
from tasks import maintenance
from tests.factories import IMAGE, World, health_of
from tests.fakes.facts import image_facts
from tests.fakes.outside import fails
from tests.fast.conftest import Run
from tests.fast.strangers import NAME, adopted, facts_of
from tests.fast.updates import publish, update

pytestmark = pytest.mark.django_db
VOLUME = "dockmgr-c1-data"
EMPTY = ("restart", "--customer-id", "c1", "--with-empty-data", "--json")


def lose_all(world: World, instance: Instance, volume: str = VOLUME) -> None:
    world.engine.lose(instance.container_name)
    del world.engine.volumes[volume]


def healed(world: World, instance: Instance) -> Operation:
    """What an automatic restart came to that was ordered before the data went missing."""
    instance.health.status, instance.health.failures = "unhealthy", 3
    instance.health.down_since = world.now
    instance.health.save()
    operation = restart.begin_automatic(instance.pk, world.now)
    assert operation
    return service.run_to_end(operation.pk, world.outside)


def test_a_lost_volume_is_failed_and_critical_at_once_and_nothing_is_made(world: World) -> None:
    instance = world.instance()
    lose_all(world, instance)
    for _ in range(2):
        sweep_here("tests", world.outside)
        world.clock.advance(900)
    health = health_of(instance)
    assert (health.status, health.reason, health.restarts_used) == ("failed", "data_missing", 0)
    assert (world.engine.containers, world.engine.volumes) == ([], {})
    assert not Operation.objects.exists()
    incident = Incident.objects.get()
    assert (incident.severity, incident.cause) == ("critical", "data_missing")
    assert not any("used up" in event.text for event in incident.events.all())
    world.engine.create_volume(VOLUME, {})
    request = request_as_listed(instance, world.outside.engines)
    [seen], _ = record([observe(request, world.outside, 5.0)], world.now)
    assert seen.verdict
    assert (seen.seen.reason, seen.verdict.restart) == ("missing", True), "its data is back"
    assert world.restart().status == "succeeded"


def test_what_another_tool_made_in_the_place_of_a_lost_volume_is_not_mounted(world: World, run: Run) -> None:
    lose_all(world, world.instance())
    world.engine.create_volume(VOLUME, {"com.docker.compose.project": "shop"})
    told = "the volume dockmgr-c1-data is that of the compose project shop, and is not mounted."
    for words in (EMPTY, EMPTY[:3] + EMPTY[4:]):
        ran = run(*words)
        assert (ran.code, ran.document["error"]) == (1, f"The data of c1 is missing: {told}")
    found = run("validate", "--customer-id", "c1", "--json").document["errors"]
    assert {"code": "data_missing", "message": f"T{told[1:]}"} in found
    assert (world.engine.containers, health_of(Instance.objects.get()).reason) == ([], "data_missing")


def test_a_volume_of_another_customer_is_no_data_of_a_lost_container(world: World) -> None:
    instance = world.instance()
    lose_all(world, instance)
    world.engine.create_volume(VOLUME, {"dockmgr.managed": "true", "dockmgr.customer_id": "c2"})
    [seen], _ = record([observe(request_for(instance, MISSING), world.outside, 5.0)], world.now)
    assert seen.verdict and not seen.verdict.restart
    health = health_of(instance)
    assert (health.status, health.reason, health.restarts_used) == ("failed", "data_missing", 0)


def test_what_can_not_be_mounted_any_more_is_missing_data_and_costs_no_attempt(world: World) -> None:
    instance = world.instance()
    world.engine.change(instance.container_name, state="exited")
    world.engine.fail_next("start", DataMissing("error evaluating symlinks from mount source"))
    done, health = healed(world, instance), health_of(instance)
    assert (done.status, health.status) == ("failed", "failed")
    assert (health.reason, health.restarts_used) == ("data_missing", 0)
    assert done.error.startswith("The data of c1 is missing. ")
    assert "begin anew with restart --with-empty-data" in done.error


@pytest.mark.django_db(transaction=True)
def test_a_refused_restart_is_tried_again_as_seldom_as_what_was_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = world.instance()
    world.engine.change(instance.container_name, state="exited")

    def refused(*_: Any) -> None:
        raise DataMissing("error evaluating symlinks from mount source")

    found = []
    with monkeypatch.context() as patch:
        patch.setattr(world.engine, "start", refused)
        for wait in (0, 600, 600):
            world.clock.advance(wait)
            sweep_here("tests", world.outside)
            found.append((health_of(instance).status, Operation.objects.count()))
    assert found == [("failed", 1), ("failed", 1), ("failed", 2)]
    world.clock.advance(80 * 60)
    sweep_here("tests", world.outside)
    assert (health_of(instance).status, Operation.objects.count()) == ("healthy", 3)


def test_a_restart_finds_out_too_and_uses_up_no_attempt(world: World) -> None:
    instance = world.instance()
    lose_all(world, instance)
    done = healed(world, instance)
    health = health_of(instance)
    assert done.status == "failed"
    assert done.error == (
        "The data of c1 is missing: host local has no volume dockmgr-c1-data. "
        "Put it back, or begin anew with restart --with-empty-data."
    )
    assert (health.status, health.reason, health.restarts_used) == ("failed", "data_missing", 0)
    assert health.restart_not_before
    assert 12 <= (health.restart_not_before - world.now).total_seconds() / 60 <= 18
    assert world.engine.volumes == {}
    assert Incident.objects.get().severity == "critical"


def test_beginning_anew_with_empty_data_is_possible_and_said(world: World, run: Run) -> None:
    instance = world.instance()
    lose_all(world, instance)
    codes = [error["code"] for error in run("validate", "--customer-id", "c1", "--json").document["errors"]]
    assert "data_missing" in codes
    ran = run(*EMPTY)
    assert ran.code == 0
    assert ran.document["steps"][1]["detail"].endswith(f", with {VOLUME} made anew and empty")
    assert world.engine.volumes[VOLUME]["dockmgr.customer_id"] == "c1"
    assert health_of(instance).status == "healthy"
    world.engine.lose(instance.container_name)
    before = dict(world.engine.volumes)
    assert run(*EMPTY).code == 0
    assert world.engine.volumes == before, "what is there is left alone"


def test_an_adopted_one_is_not_made_anew_without_its_volumes(world: World, run: Run) -> None:
    instance = adopted(world, run, Mounts=[{"Type": "volume", "Source": "more", "Target": "/more"}])
    for gone in ("more", "gateway-data"):
        world.engine.lose(NAME)
        del world.engine.volumes[gone]
        [seen], _ = record([observe(request_for(instance, MISSING), world.outside, 5.0)], world.now)
        assert seen.seen.reason == "data_missing"
        assert world.restart().status == "failed"
        assert (world.engine.containers, gone in world.engine.volumes) == ([], False)
        assert run(*EMPTY).code == 0
        instance.refresh_from_db()


def test_an_adopted_one_is_not_made_anew_without_its_folders(world: World, run: Run) -> None:
    more = {"Type": "bind", "Source": "/etc/more", "Target": "/more", "ReadOnly": True}
    instance = adopted(world, run, Mounts=[more])
    for folder in ("/etc/gateway", "/etc/more"):
        world.engine.lose(NAME)
        world.engine.missing_sources = {folder}
        done = healed(world, instance)
        health = health_of(instance)
        assert (done.status, health.status, health.reason) == ("failed", "failed", "data_missing")
        assert health.restarts_used == 0
        assert (world.engine.containers, world.engine.missing_sources) == ([], {folder})
        assert run(*EMPTY).code == 0
        assert world.engine.missing_sources == set()
        instance = Instance.objects.select_related("health").get()
    assert run("validate", "--customer-id", "c1", "--json").code == 0


def test_nor_is_it_started_again_without_them(world: World, run: Run) -> None:
    instance = adopted(world, run)
    world.engine.missing_sources = {"/etc/gateway"}
    for state in ("running", "exited"):
        world.engine.change(NAME, state=state, exit_code=1)
        done = world.restart() if state == "running" else healed(world, instance)
        health = health_of(instance)
        assert (done.status, health.status, health.reason) == ("failed", "failed", "data_missing")
        assert (facts_of(world).state, health.restarts_used) == (state, 0)
        assert (world.engine.containers, world.engine.missing_sources) == ([NAME], {"/etc/gateway"})
    world.engine.missing_sources = set()
    assert world.restart().status == "succeeded"
    assert (facts_of(world).id, world.engine.containers) == (instance.container_id, [NAME])


@pytest.mark.parametrize("data_path", [None, "/srv"])
def test_an_update_that_would_drop_the_data_is_refused(world: World, data_path: str | None) -> None:
    instance = world.instance()
    publish(world)
    Plan.objects.update(data_path=data_path)
    done = update(world)
    assert (done.status, done.error) == (
        "failed",
        "The data of c1 is in dockmgr-c1-data at /data, which plan pro does not mount there any more: "
        "set its data_path back.",
    )
    facts = world.engine.inspect(instance.container_name)
    assert facts
    assert (facts.id, facts.volumes) == (instance.container_id, {VOLUME: "/data"})


def test_a_plan_that_begins_to_keep_data_gets_a_volume_of_ours(world: World) -> None:
    Plan.objects.update(data_path=None)
    world.provision("c1")
    assert world.engine.volumes == {}
    Plan.objects.update(data_path="/data")
    publish(world)
    assert update(world).status == "succeeded"
    assert world.engine.volumes[VOLUME]["dockmgr.customer_id"] == "c1"
    assert Instance.objects.get().volumes == {VOLUME: "/data"}


def test_a_healthy_instance_says_which_volumes_and_which_image_it_has(world: World) -> None:
    world.provision("c1")
    row = Instance.objects.select_related("plan", "host", "health").get()
    told = documents.instance(row)
    assert told["volumes"] == {VOLUME: "/data"}
    assert told["image_digest"] == "registry.example.com/agent@sha256:agent-1"


# Healing is not updating.


def pruned(world: World, **old: Any) -> Instance:
    """The container is lost, its image pruned, and the tag names another image by now."""
    instance = world.instance()
    digest = next(iter(image_facts("agent-1", **old).digests), "")
    instance.image_digest = digest
    instance.approved_image = approval.approved(instance.image_id, IMAGE, digest, "plan pro", "")
    instance.save()
    world.engine.lose(instance.container_name)
    del world.engine.images[IMAGE]
    world.engine.registry[IMAGE] = image_facts("agent-2")
    return instance


def test_what_ran_is_fetched_by_digest_and_never_by_its_tag(world: World) -> None:
    instance = pruned(world)
    world.engine.registry[instance.image_digest] = image_facts("agent-1")
    assert healed(world, instance).status == "succeeded"
    assert world.engine.pulls == ["registry.example.com/agent@sha256:agent-1"]
    instance.refresh_from_db()
    assert instance.image_id == image_facts("agent-1").id


def test_what_another_store_of_the_engine_calls_by_another_id_is_the_same_by_its_digest(world: World) -> None:
    instance = pruned(world)
    digests = (instance.image_digest,)
    world.engine.registry[instance.image_digest] = image_facts("another-id", digests=digests)
    Plan.objects.update(image="other/agent:1")
    assert healed(world, instance).status == "succeeded"
    instance.refresh_from_db()
    assert facts_of(world, instance.container_name).image_id == instance.image_id == "sha256:another-id"
    world.engine.lose(instance.container_name)
    assert world.restart().status == "succeeded"


def test_what_is_not_known_by_the_digest_it_was_asked_for_is_not_run(world: World) -> None:
    instance = pruned(world)
    world.engine.registry[instance.image_digest] = image_facts("agent-2")
    assert healed(world, instance).error.startswith("The image that c1 ran, sha256:agent-1, is gone")
    assert world.engine.containers == []


@pytest.mark.parametrize("digests", [(), ("registry.example.com/agent@sha256:agent-1",)])
def test_without_the_exact_image_nothing_is_made_and_that_is_said(
    world: World, digests: tuple[str, ...]
) -> None:
    instance = pruned(world, digests=digests)
    done = healed(world, instance)
    health = health_of(instance)
    assert done.status == "failed"
    assert done.error.startswith("The image that c1 ran, sha256:agent-1, is gone from host local")
    assert (health.status, health.reason, health.restarts_used) == ("failed", "image_missing", 0)
    assert (world.engine.pulls, world.engine.containers) == ([], [])


def test_the_digest_of_an_image_from_before_is_learnt_in_time(world: World) -> None:
    instance = world.instance()
    assert instance.image_digest == ""
    maintenance.tidy_up()
    instance.refresh_from_db()
    assert instance.image_digest == "registry.example.com/agent@sha256:agent-1"


def test_data_that_goes_between_making_and_starting_is_not_made_up(world: World) -> None:
    instance = world.instance()
    world.engine.stop(instance.container_name, 1)
    inspect = world.engine.inspect

    def inspect_and_lose(container: str) -> Any:
        facts = inspect(container)
        if container == instance.container_id and facts is not None:
            lose_all(world, instance)
        return facts

    world.engine.inspect = inspect_and_lose  # type: ignore[method-assign]
    assert world.restart().status == "failed"
    assert (world.engine.containers, world.engine.volumes) == ([], {})


# Volumes and containers are ours by label.


@pytest.mark.parametrize(
    ("labels", "owner", "former"),
    [
        ({}, "somebody who left no label of ours on it", ""),
        (labels_for("other", "pro"), "customer other", ""),
        (labels_for("other", "pro"), "customer other", "keep"),
        (labels_for("other", "pro"), "customer other", "fresh"),
    ],
)
def test_a_volume_that_is_not_the_customers_is_neither_mounted_nor_removed(
    world: World, labels: dict[str, str], owner: str, former: str
) -> None:
    world.engine.volumes[VOLUME] = labels
    done = world.provision("c1", former_data=former)
    assert done.error == (
        f"A volume named {VOLUME} is on host local already, that of {owner}: "
        "dockmgr neither mounts nor removes it."
    )
    assert (world.engine.volumes, world.engine.containers) == ({VOLUME: labels}, [])


def test_a_customer_id_used_again_is_asked_what_becomes_of_the_former_data(world: World, run: Run) -> None:
    world.instance()
    world.decommission()
    words = ("provision", "--customer-id", "c1", "--subdomain", "c1.example.com", "--plan", "pro", "--json")
    asked = run(*words)
    assert asked.code == 1
    assert "--keep-data" in asked.document["error"]
    assert "--fresh" in asked.document["error"]
    first = world.engine.volumes[VOLUME]
    assert run(*words, "--keep-data").code == 0
    assert world.engine.volumes[VOLUME] is first
    world.decommission()
    assert run(*words, "--fresh").code == 0
    assert world.engine.volumes[VOLUME] is not first
    assert run(*words, "--fresh", "--keep-data").code == 2


def test_who_begins_fresh_never_gets_former_data_by_another_plan(world: World) -> None:
    more, other = "dockmgr-c1-more", "dockmgr-c10-more"
    Plan.objects.update(options={"volumes": {"more": "/more"}})
    world.provision("c1")
    world.engine.volumes[other] = labels_for("c10", "pro")
    former = world.engine.volumes[more]
    world.decommission()
    Plan.objects.update(data_path=None, options={})
    assert world.provision("c1", former_data="fresh").status == "succeeded"
    assert set(world.engine.volumes) == {other}
    Plan.objects.update(options={"volumes": {"more": "/more"}})
    publish(world)
    assert update(world).status == "succeeded"
    assert world.engine.volumes[more] != former


def test_former_data_that_is_in_use_is_not_said_to_be_gone(world: World) -> None:
    world.instance()
    world.decommission()
    Plan.objects.update(data_path=None)
    world.engine.create(ContainerSpec(name="backup", image=IMAGE, labels={}, env={}, volumes={VOLUME: "/b"}))
    done = world.provision("c1", former_data="fresh")
    assert (done.status, VOLUME in world.engine.volumes) == ("failed", True)


def test_so_it_is_where_that_data_is_on_another_host(world: World) -> None:
    world.instance()
    world.decommission()
    second = Host.objects.create(name="second", docker_url="unix:///second.sock")
    world.outside.hosts[second.docker_url].images[IMAGE] = world.engine.images[IMAGE]
    Host.objects.filter(name="local").update(cordoned=True)
    asked = world.provision("c1")
    assert asked.status == "failed"
    assert f"its data is in {VOLUME} on host local: go on with it (--keep-data)" in asked.error
    there = world.provision("c1", former_data="keep", host="second")
    assert "on host local, not in what plan pro mounts on host second: name host and plan" in there.error
    Host.objects.filter(name="local").update(cordoned=False)
    kept = world.provision("c1", former_data="keep")
    assert (kept.status, kept.host) == ("succeeded", world.host)
    world.decommission()
    assert world.provision("c1", former_data="fresh", host="second").status == "succeeded"


def test_there_must_be_data_to_keep(world: World) -> None:
    done = world.provision("c1", former_data="keep")
    assert (done.status, done.error) == ("failed", "Host local has no data of customer c1 to keep.")
    assert world.engine.volumes == {}
    world.instance()
    world.decommission(purge_data=True)
    assert world.provision("c1").status == "succeeded"


def test_a_failed_provisioning_on_former_data_keeps_it(world: World) -> None:
    world.instance()
    world.decommission()
    before = dict(world.engine.volumes)
    world.probe.answers[20001] = fails()
    assert world.provision("c1", former_data="keep").status == "failed"
    assert world.engine.volumes == before


def test_the_log_of_a_strangers_container_is_never_shown(world: World, run: Run) -> None:
    instance = world.instance()
    world.stranger_takes_over(instance)
    world.engine.write_log(instance.container_name, b"somebody else's password\n")
    ran = run("logs", "--customer-id", "c1", "--json")
    assert (ran.code, "password" in ran.out + ran.err) == (2, False)
    world.decommission()
    again = world.provision("c1", former_data="keep")
    assert again.status == "failed"
    assert "logs" not in again.facts


def test_a_check_that_finds_neither_container_nor_data_is_a_failure(world: World) -> None:
    instance = world.instance()
    lose_all(world, instance)
    request = request_as_listed(instance, world.outside.engines)
    assert type(request).from_message(request.message()) == request
    seen = observe(request, world.outside, 5.0).seen
    assert (seen.outcome, seen.reason) == (Outcome.FAIL, "data_missing")
