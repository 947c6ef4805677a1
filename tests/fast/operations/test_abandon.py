"""An operation that can't end by itself is ended by hand, and its instance is free again."""

from __future__ import annotations

import uuid

import pytest
from django.db import connection

from instances.errors import LeaseLost
from instances.models import AuditEntry, Instance, Operation
from instances.operations import service
from instances.operations.abandon import abandon
from instances.operations.journal import Journal
from instances.operations.requester import Requester
from tests.factories import ASKED, IMAGE, World, health_of
from tests.fakes.facts import image_facts
from tests.fakes.outside import fails
from tests.fast.conftest import Run
from tests.fast.updates import answers_by_image, begin, publish, update

pytestmark = pytest.mark.django_db

WHY = "the host was scrapped"


@pytest.fixture
def stuck(world: World) -> Operation:
    """An update whose engine went away while the new container waited to be healthy."""
    publish(world)
    answers_by_image(world, world.instance().port)
    world.clock.at(1, lambda: setattr(world.engine, "unreachable", True))
    operation = begin(world)
    assert service.carry_on(operation, world.outside) is None
    Operation.objects.update(tries=3)
    world.clock.advance(120)
    for _ in range(3):
        assert service.carry_on(operation, world.outside) is None
        world.clock.advance(120)
    assert Operation.objects.get().undoing
    return operation


def test_it_ends_as_failed_and_says_what_is_left_where(world: World, run: Run, stuck: Operation) -> None:
    world.engine.unreachable = False
    ran = run("operations", "--abandon", str(stuck.pk), "--reason", WHY, "--json")
    assert (ran.code, ran.document["status"], ran.document["id"]) == (0, "failed", str(stuck.pk))
    assert WHY in ran.document["error"]
    assert "abandoned by cli:" in ran.document["error"]
    assert "Left on host local: container dockmgr-c1 (" in ran.document["error"]
    assert "container dockmgr-c1.previous (" in ran.document["error"]
    assert "image sha256:agent-1" in ran.document["error"]
    instance = Instance.objects.get()
    health = health_of(instance)
    assert (health.status, health.failures, health.next_check_at) == ("healthy", 0, world.now)
    world.probe.answers.clear()
    world.engine.images[IMAGE] = image_facts("agent-1")
    assert run("restart", "--customer-id", "c1").code == 0
    assert health_of(instance).status == "healthy"
    publish(world, "agent-3")
    assert update(world).status == "succeeded"


def test_with_an_engine_that_does_not_answer_it_says_what_is_known(run: Run, stuck: Operation) -> None:
    ran = run("operations", "--abandon", str(stuck.pk), "--reason", WHY, "--json")
    assert ran.code == 0
    assert (
        "the engine of host local does not answer; known are dockmgr-c1, dockmgr-c1.previous"
        in (ran.document["error"])
    )


def test_it_is_written_in_the_audit_log_and_shown_with_its_steps(run: Run, stuck: Operation) -> None:
    ran = run("operations", "--abandon", str(stuck.pk), "--reason", WHY)
    assert "undo start next" in ran.out
    assert WHY in ran.out
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.reason) == ("operations", str(stuck.pk), WHY)
    assert run("operations").code == 0
    assert AuditEntry.objects.count() == 1


def test_whoever_works_on_it_hears_that_it_is_no_longer_theirs(world: World) -> None:
    world.instance()
    operation = begin(world)
    holder = Journal.claim(operation.pk, world.clock)
    assert holder
    abandon(str(operation.pk), Requester("me", WHY), world.outside)
    with pytest.raises(LeaseLost):
        holder.begin("pull")
    assert Operation.objects.get().status == "failed"
    assert health_of(Instance.objects.get()).status == "healthy"


def test_a_provisioning_leaves_no_row_in_the_way_of_the_next(world: World, run: Run) -> None:
    operation = service.begin_provision(world.order(), Requester("me"), world.outside)
    assert run("operations", "--abandon", str(operation.pk), "--reason", WHY).code == 0
    assert service.begin_provision(world.order(), Requester("me"), world.outside).pk != operation.pk


def test_an_instance_that_is_gone_is_in_nobodys_way(world: World, run: Run, stuck: Operation) -> None:
    Instance.objects.all().delete()
    ran = run("operations", "--abandon", str(stuck.pk), "--reason", WHY, "--json")
    assert (ran.code, "Its instance is gone." in ran.document["error"]) == (0, True)


def test_secrets_that_nobody_can_read_are_not_needed(world: World, run: Run, stuck: Operation) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE instances_instance SET env = 'not ours'")
    assert run("operations", "--abandon", str(stuck.pk), "--reason", WHY).code == 0
    assert Operation.objects.get().finished_at


WRONG = {
    "unknown": (str(uuid.uuid4()), WHY, "There is no operation"),
    "no id": ("c1", WHY, "An operation's id"),
    "no reason": ("", "", "Say why"),
    "blank": ("", "  ", "Say why"),
}


def test_a_wrong_request_touches_nothing(run: Run, stuck: Operation) -> None:
    for case, (which, why, said) in WRONG.items():
        ran = run("operations", "--abandon", which or str(stuck.pk), "--reason", why)
        assert (ran.code, said in ran.err) == (2, True), case
        assert Operation.objects.get().finished_at is None, case


def test_one_that_is_over_is_refused(world: World, run: Run) -> None:
    world.instance()
    done = world.restart()
    ran = run("operations", "--abandon", str(done.pk), "--reason", WHY)
    assert (ran.code, ran.err) == (2, f"Operation {done.pk} is over: it succeeded.\n")
    assert run("operations", "--reason", WHY).code == 2


def test_of_a_provisioning_it_names_the_volume_as_well(world: World, run: Run) -> None:
    world.probe.answers[20000] = fails("refused")
    world.clock.at(1, lambda: setattr(world.engine, "unreachable", True))
    operation = service.begin_provision(world.order(), ASKED, world.outside)
    world.engine.images[IMAGE] = image_facts("agent-1")
    for _ in range(4):
        assert service.carry_on(operation, world.outside) is None
        world.clock.advance(120)
    ran = run("operations", "--abandon", str(operation.pk), "--reason", WHY, "--json")
    assert "known are dockmgr-new" in ran.document["error"] and "dockmgr-new-data" in ran.document["error"]
