"""Who read an instance before others changed or removed it begins nothing with what was read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from instances.admin.secret_setting import set_variable
from instances.errors import BusyError, PermanentError, RequestError
from instances.fleet import cleanup
from instances.models import Health, Instance, Operation
from instances.operations import adopt as adopting
from instances.operations import service
from instances.operations.adoptable import AdoptRequest, look
from instances.operations.procedures import decommission, restart, update
from instances.operations.requester import Requester
from tasks import checks
from tests.factories import ASKED, IMAGE, World
from tests.fast.conftest import Run
from tests.fast.strangers import NAME, adopted, existing
from tests.rows import row

pytestmark = pytest.mark.django_db
Begin = Callable[[Instance, datetime, Requester], Operation]
GONE = "There is no instance of customer c1 any more"
BEGINNINGS: dict[str, Begin] = {
    "restart": restart.begin,
    "update": lambda instance, now, asked: update.begin(instance, now, asked, image=None),
    "decommission": lambda instance, now, asked: decommission.begin(instance, now, asked, purge_data=False),
}


def removed(world: World, instance: Instance) -> None:
    """As a provisioning that fails removes what it wrote."""
    instance.ports.all().delete()
    instance.delete()


@pytest.mark.parametrize("leave", [removed, lambda world, _: world.decommission()])
def test_nothing_begins_on_an_instance_that_was_removed_since_it_was_read(
    world: World, leave: Callable[[World, Instance], object]
) -> None:
    world.instance()
    read = Instance.objects.select_related("plan", "host").get()
    leave(world, Instance.objects.get())
    for kind, begin in BEGINNINGS.items():
        with row(kind), pytest.raises(RequestError, match=GONE):
            begin(read, world.now, ASKED)
    assert not Operation.objects.filter(finished_at=None).exists()


def test_nothing_begins_on_one_whose_removal_has_begun_since(world: World) -> None:
    world.instance()
    read = Instance.objects.select_related("plan", "host").get()
    world.engine.fail_next("remove", PermanentError("The engine refuses."))
    world.decommission()
    for kind in ("restart", "update"):
        with row(kind), pytest.raises(RequestError, match="is being removed since"):
            BEGINNINGS[kind](read, world.now, ASKED)


def test_an_update_does_not_begin_from_the_container_of_before_another_one(world: World) -> None:
    world.instance()
    read = Instance.objects.select_related("plan", "host").get()
    Instance.objects.update(container_id="another", port=20009)
    with pytest.raises(BusyError, match="c1 was just changed by another operation"):
        BEGINNINGS["update"](read, world.now, ASKED)


def test_a_customer_who_left_while_his_new_container_was_looked_at_is_not_adopted_once_more(
    world: World, run: Run
) -> None:
    adopted(world, run)
    world.engine.lose(NAME)
    existing(world)
    found = look(AdoptRequest("c1", "c1.example.com", NAME, "pro", "local").checked(), world.outside)
    world.decommission()
    with pytest.raises(RequestError, match=GONE):
        adopting.adopt(found, world.outside, ASKED)
    left = Instance.objects.get()
    assert (left.env, left.adopted, left.port, left.ports.count()) == ({}, None, None, 0)


def test_a_message_to_heal_what_is_gone_does_nothing(world: World) -> None:
    instance = world.instance(status="unhealthy", failures=3, down_since=world.now)
    key = instance.pk
    removed(world, instance)
    assert restart.begin_automatic(key, world.now) is None


def test_one_removed_between_the_look_and_the_pause_is_told_in_a_sentence(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = world.instance()
    monkeypatch.setattr("instances.lookup.instance", lambda _: instance)
    Health.objects.all().delete()
    with pytest.raises(RequestError, match="The instance was removed meanwhile"):
        service.pause("c1")


def test_one_throwaway_instance_that_is_gone_keeps_no_other_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for customer in ("t1", "t2"):
        world.instance(customer)
    Instance.objects.update(expires_at=world.now)
    world.clock.advance(1)
    begin = decommission.begin
    taken: list[object] = []

    def begin_late(instance: Instance, *args: object, **kwargs: object) -> Operation:
        if not taken:
            taken.append(Instance.objects.get(pk=instance.pk).delete())
        return begin(instance, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(decommission, "begin", begin_late)
    assert len(cleanup.expired(world.now)) == 1


@pytest.mark.django_db(transaction=True)
def test_a_check_of_one_that_is_removed_while_it_is_asked_ends_in_a_sentence(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, check = world.instance(), checks._check

    def removed_meanwhile(order: checks.CheckJob) -> object:
        made = check(order)
        removed(world, instance)
        return made

    monkeypatch.setattr(checks, "_check", removed_meanwhile)
    with pytest.raises(RequestError, match="The instance of customer c1 was removed while it was checked"):
        checks.check_health("c1")


def test_a_secret_of_what_is_gone_is_refused_in_a_sentence(world: World) -> None:
    instance = world.instance()
    key = instance.pk
    removed(world, instance)
    with pytest.raises(RequestError, match="The instance was removed meanwhile"):
        set_variable(Instance, key, {"name": "A", "value": IMAGE})


def test_no_secret_is_set_for_who_has_left_meanwhile(world: World) -> None:
    instance = world.instance()
    world.decommission()
    with pytest.raises(RequestError, match="The instance was removed meanwhile"):
        set_variable(Instance, instance.pk, {"name": "A", "value": IMAGE})
    assert Instance.objects.get().env == {}
