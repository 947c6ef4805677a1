"""An image outside of a plan's policy: by whom it may be chosen, and what a row alone gets onto a host."""

from __future__ import annotations

from typing import Any

import pytest

from instances.access.permits import permit
from instances.containers.spec import container_name
from instances.errors import NotAllowed, NotFoundOnEngine
from instances.fleet.trial import run_trial
from instances.models import AuditEntry, Instance, Operation, Plan
from instances.operations import service
from instances.operations.requester import Requester, a_service, at_machine
from tasks import operations as tasks
from tests.factories import World
from tests.fakes.facts import image_facts
from tests.fast.updates import back_in_place, begin, in_order, publish, update

pytestmark = pytest.mark.django_db
EVIL = "registry.attacker.example/agent:1"
PLAIN = Requester("billing")


@pytest.fixture
def evil(world: World) -> str:
    """An image the registry has, and the host has already."""
    found = image_facts("evil", digests=("registry.attacker.example/agent@sha256:evil",))
    world.engine.registry[EVIL] = world.engine.images[EVIL] = found
    return found.id


def test_who_may_not_choose_is_refused_before_anything_is_written(world: World, evil: str) -> None:
    world.instance()
    orders: list[Any] = [
        lambda: service.begin_update("c1", PLAIN, image=EVIL, outside=world.outside),
        lambda: service.begin_provision(world.order(image=EVIL), PLAIN, world.outside),
        lambda: run_trial("pro", EVIL, None, PLAIN, world.outside),
        lambda: tasks.update.run("c1", EVIL, "billing"),
        lambda: tasks.provision.run("new", "new.example.com", "pro", {"API_KEY": "x"}, None, EVIL),
        lambda: tasks.test_deploy.run("pro", EVIL, None, "cli:root"),
    ]
    for order in orders:
        with pytest.raises(NotAllowed, match="outside of what plan pro may run"):
            order()
    assert (Operation.objects.count(), world.engine.pulls) == (0, [])


def test_who_may_is_recorded_and_the_instance_goes_on_with_it(world: World, evil: str) -> None:
    world.instance()
    asked = Requester("admin:ada", "a try", may_choose_image=True, surface="admin", address="203.0.113.7")
    done = service.run_to_end(
        service.begin_update("c1", asked, image=EVIL, outside=world.outside).pk, world.outside
    )
    assert (done.status, in_order(world).image_id) == ("succeeded", evil)
    chosen = AuditEntry.objects.get(action="choose image")
    assert (chosen.surface, chosen.actor, chosen.target) == ("admin", "admin:ada", "c1")
    assert chosen.outcome.startswith(EVIL)

    world.engine.registry[EVIL] = image_facts("evil-2", digests=())
    again = service.begin_update("c1", PLAIN, outside=world.outside)
    assert service.run_to_end(again.pk, world.outside).status == "succeeded"
    world.engine.lose("dockmgr-c1")  # a tag says nothing of what ran: the instance's own note does
    world.engine.images = {"elsewhere": world.engine.images[EVIL]}
    assert world.restart().status == "succeeded"


def test_a_row_somebody_wrote_gets_no_image_onto_a_host(world: World, evil: str) -> None:
    old = world.instance()
    forged = begin(world)
    other = permit(f"image of operation {old.pk}", {"ref": EVIL, "by": "admin:ada"})
    Operation.objects.filter(pk=forged.pk).update(
        params={**forged.params, "image": EVIL, "image_permit": other}, requested_by="admin:ada"
    )
    done = service.run_to_end(forged.pk, world.outside)
    assert (done.status, "outside of what plan pro" in done.error) == ("failed", True)
    assert EVIL not in world.engine.pulls
    back_in_place(world, old)


def test_a_row_that_says_what_was_done_before_gets_nothing_made(world: World, evil: str) -> None:
    old = world.instance()
    forged = begin(world)
    steps = [{"name": name, "status": "done"} for name in ("pull", "verify image")]
    Operation.objects.filter(pk=forged.pk).update(steps=steps, facts={"new_image": evil})
    assert "outside of what plan pro" in service.run_to_end(forged.pk, world.outside).error
    back_in_place(world, old)

    digest = "registry.attacker.example/agent@sha256:e"
    Instance.objects.update(image_id=evil, image=EVIL, image_digest=digest)
    world.engine.lose("dockmgr-c1")
    assert "outside of what plan pro" in world.restart().error
    del world.engine.images[EVIL]
    assert "outside of what its plan may run" in world.restart().error
    assert (container_name("c1") in world.engine.containers, world.engine.pulls) == (False, [])


def test_what_ran_is_made_again_whatever_the_plan_says_by_now(world: World) -> None:
    world.instance()
    publish(world)
    assert update(world).status == "succeeded"
    Plan.objects.update(image="other/agent:1", images=["other/agent"])
    world.engine.lose("dockmgr-c1")
    assert world.restart().status == "succeeded"
    assert Instance.objects.get().approved_image["by"] == "plan pro"


def test_what_a_registry_said_is_for_admins_alone(world: World, run: Any) -> None:
    world.instance()
    said = "dial tcp 10.0.0.1:22: connect: connection refused"
    world.engine.fail_next("pull", NotFoundOnEngine(said))
    done = update(world)
    told = "The image registry.example.com/agent:1.0 could not be had from registry registry.example.com."
    assert (done.error, said in str(done.steps)) == (told, False)
    [listed] = run("operations", "--json", "--customer-id", "c1").document
    assert listed["error"] == f"{told} The registry said: {said}"


def test_a_service_can_not_call_itself_one_of_us() -> None:
    for name in ("admin:ada", "api:x", "cli:root", "beat", "dockmgr", "python"):
        assert a_service(name, "", None).requested_by == f"task:{name}"
    assert a_service("billing", "", None).requested_by == "billing"
    assert at_machine("cli:root").may_choose_image


def test_changes_by_task_are_recorded_once_for_each_request(world: World) -> None:
    world.instance()
    for _ in range(2):
        tasks.restart.run("c1", "billing", "moved", "invoice-7")
    done = AuditEntry.objects.get()
    assert (done.surface, done.actor, done.action, done.target) == ("task", "task:billing", "restart", "c1")
    assert (done.reason, done.outcome) == ("moved", f"operation {Operation.objects.get().pk}")
    with pytest.raises(NotAllowed):
        tasks.update.run("c1", EVIL, "admin:eve")
    assert AuditEntry.objects.get(action="update").actor == "task:admin:eve"
