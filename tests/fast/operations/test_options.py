"""A plan's options, volumes and ports through the whole life of an instance."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models.signals import pre_delete

from instances import lookup
from instances.fleet.apply import apply
from instances.fleet.file import parse
from instances.models import Instance, Plan, Port
from instances.operations import service
from instances.operations.validate import validate
from tests.factories import IMAGE, World
from tests.fakes.facts import image_facts
from tests.fakes.outside import Killed, fails
from tests.fast.updates import answers_by_image, publish, update

pytestmark = pytest.mark.django_db
FULL = """
plans:
  - name: pro
    command: [gateway, --port, "{port}"]
    volumes: {data: /data, browsers: /browsers}
    ports: [{container: 9090}]
    env: {PUBLIC_URL: "https://{subdomain}"}
    labels: {traefik.enable: "true"}
    shm_size: 2g
"""
BROWSERS = "dockmgr-new-browsers"


def say(text: str) -> dict[str, Any]:
    """What the fleet file changed of the plan."""
    changed = apply(parse(text))
    return {name: now for change in changed for name, (_, now) in change.fields.items()}


def plan_says(**words: Any) -> None:
    row = Plan.objects.get(name="pro")
    row.options = {**row.options, **words}
    row.save(update_fields=["options"])


@pytest.fixture
def new(world: World) -> Instance:
    say(FULL)
    assert world.provision().status == "succeeded"
    return lookup.instance("new")


def bad(world: World) -> dict[str, str]:
    found = validate(lookup.instance("new"), world.outside)
    return {error["code"]: error["message"] for error in found.errors}


def test_what_the_file_says_is_what_the_customer_gets(world: World, new: Instance) -> None:
    facts = world.engine.inspect("dockmgr-new")
    assert facts is not None
    assert facts.options["command"] == ("gateway", "--port", str(new.port))
    assert facts.options["shm_size"] == 2 * 1024**3
    assert facts.env["PUBLIC_URL"] == "https://new.example.com"
    assert facts.labels["traefik.enable"] == "true"
    assert facts.volumes == {"dockmgr-new-data": "/data", BROWSERS: "/browsers"} == new.held_volumes
    assert facts.ports[9090][1] == new.further_ports["9090/tcp"] != new.port
    assert Port.objects.filter(instance=new).count() == 2
    assert world.engine.volumes[BROWSERS]["dockmgr.customer_id"] == "new"
    assert bad(world) == {}


def test_a_file_that_says_the_same_changes_nothing_and_one_word_changes_one(new: Instance) -> None:
    assert say(FULL) == {}
    assert say("plans: [{name: pro, shm_size: 1g}]") == {"shm_size": 1024**3}
    assert say("plans: [{name: pro, shm_size: null}]") == {"shm_size": None}
    assert Plan.objects.get(name="pro").options["volumes"] == {"browsers": "/browsers"}


def test_a_changed_option_is_drift_until_an_update_makes_the_container_anew(
    world: World, new: Instance
) -> None:
    plan_says(command=["other"], labels={"new": "label"}, cap_add=["NET_ADMIN"], tmpfs={"/run": ""})
    assert bad(world).keys() >= {"command", "labels", "privileges", "tmpfs"}
    publish(world, "agent-1")
    assert update(world, "new").facts.get("unchanged") is None
    assert bad(world) == {}


def test_a_port_is_given_back_with_what_names_it_or_not_at_all(world: World, new: Instance) -> None:
    """A process that ends between the two would leave a port that nobody uses and nobody gets."""
    publish(world, "agent-1")
    plan_says(ports=[])

    def end(**_: Any) -> None:
        raise Killed

    pre_delete.connect(end, sender=Port)
    try:
        with pytest.raises(Killed):
            update(world, "new")
    finally:
        pre_delete.disconnect(end, sender=Port)
    assert lookup.instance("new").further_ports == new.further_ports
    assert Port.objects.filter(instance=new).count() == 2
    world.clock.advance(31)
    assert [done.status for done in service.recover(world.outside)] == ["succeeded"]
    assert lookup.instance("new").further_ports == {}
    assert Port.objects.filter(instance=new).count() == 1
    plan_says(ports=["22/tcp"])
    assert update(world, "new").status == "succeeded"
    facts = world.engine.inspect("dockmgr-new")
    assert facts and facts.ports[22][1] == lookup.instance("new").further_ports["22/tcp"]


def test_a_bad_image_is_rolled_back_to_the_same_options(world: World, new: Instance) -> None:
    world.engine.images["still there"] = image_facts("agent-1")
    publish(world, "bad")
    before = world.engine.inspect("dockmgr-new")
    assert before is not None
    answers_by_image(world, new.port, bad="sha256:bad")
    assert update(world, "new").status == "rolled_back"
    after = world.engine.inspect("dockmgr-new")
    assert after is not None
    assert (after.id, after.options, after.volumes) == (before.id, before.options, before.volumes)
    assert bad(world) == {}


def test_a_port_that_is_taken_moves_all_of_them(world: World) -> None:
    say(FULL)
    world.engine.taken_ports = {("127.0.0.1", world.host.first_port + 1)}
    assert world.provision().status == "succeeded"
    assert bad(world) == {}
    instance = lookup.instance("new")
    numbers = {instance.port, *instance.further_ports.values()}
    assert world.host.first_port + 1 not in numbers
    assert {port.number for port in Port.objects.filter(instance=instance)} == numbers


@pytest.mark.parametrize(("image", "status"), [("agent-1", "succeeded"), ("bad", "rolled_back")])
def test_a_port_more_that_something_else_holds_is_moved_by_the_update(
    world: World, new: Instance, image: str, status: str
) -> None:
    world.engine.images["still there"] = image_facts("agent-1")
    publish(world, image)
    answers_by_image(world, new.port, bad="sha256:bad")
    plan_says(ports=["9090/tcp", "22/tcp"])
    taken = world.host.first_port + 2
    world.engine.taken_ports = {("127.0.0.1", taken)}
    done = update(world, "new")
    assert done.status == status, done.error
    instance = lookup.instance("new")
    assert instance.further_ports == {**new.further_ports, "22/tcp": taken + 1}
    numbers = {instance.port, *instance.further_ports.values()}
    assert {port.number for port in Port.objects.filter(instance=instance)} == numbers
    assert [name for name in world.engine.containers if "dockmgr-new" in name] == ["dockmgr-new"]


def test_one_lost_volume_of_two_is_lost_data(world: World, new: Instance) -> None:
    world.engine.lose("dockmgr-new")
    del world.engine.volumes[BROWSERS]
    failed = world.restart("new")
    assert failed.status == "failed"
    assert f"has no volume {BROWSERS}" in failed.error


def test_the_way_back_of_a_failed_provisioning_removes_every_volume(world: World) -> None:
    say(FULL)
    world.probe.answers[world.host.first_port] = fails()
    assert world.provision().status == "failed"
    assert world.nothing_is_left_of("new")
    assert BROWSERS not in world.engine.volumes


def test_all_volumes_are_kept_and_asked_about_before_any_is_touched(world: World, new: Instance) -> None:
    assert world.decommission("new").status == "succeeded"
    assert {"dockmgr-new-data", BROWSERS} <= set(world.engine.volumes)
    assert not Port.objects.filter(instance=new).exists()
    del world.engine.volumes["dockmgr-new-data"]
    refused = world.provision("new", subdomain="again.example.com")
    assert f"its data is in {BROWSERS}" in refused.error
    assert "dockmgr-new-data" not in world.engine.volumes
    assert world.provision("new", subdomain="again.example.com", former_data="fresh").status == "succeeded"
    assert world.decommission("new", purge_data=True).status == "succeeded"
    assert world.engine.volumes == {}


def test_a_volume_the_image_declares_is_covered_by_an_option(world: World) -> None:
    world.engine.images[IMAGE] = image_facts("agent-1", volumes=("/cache", "/scratch"))
    assert "declares a volume at /cache" in world.provision().error
    plan_says(volumes={"cache": "/cache"}, tmpfs={"/scratch": ""})
    assert world.provision().status == "succeeded"
