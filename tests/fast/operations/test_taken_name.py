"""An engine that makes a container for longer than anybody waits has its name taken and does not show it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from instances.containers.spec import ContainerSpec
from instances.errors import ContainerHung, EngineUnreachable, NameTaken, NotFoundOnEngine, TransientError
from tests.factories import World
from tests.fakes.facts import image_facts
from tests.fast.conftest import Run
from tests.fast.strangers import NAME, adopted
from tests.fast.updates import in_order, publish, update

pytestmark = pytest.mark.django_db


def made_slowly(world: World, monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[str]:
    """The first container asked for is made for so long, and nobody waits; returns the names asked for."""
    create, asked, made = world.engine.create, list[str](), list[str]()

    def slowly(spec: ContainerSpec) -> str:
        asked.append(spec.name)
        if len(asked) == 1:
            world.clock.at(seconds, lambda: made.append(create(spec)))
            raise EngineUnreachable("The Docker Engine is out of reach: it did not answer in time.")
        if not made:
            raise NameTaken(f"The container name {spec.name} is already in use.")
        return create(spec)

    monkeypatch.setattr(world.engine, "create", slowly)
    return asked


def test_a_container_that_is_still_being_made_is_waited_for_while_the_old_one_serves(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.instance()
    publish(world)
    asked = made_slowly(world, monkeypatch, 200)
    assert update(world).status == "succeeded"
    in_order(world)
    assert len(asked) > 2


def test_one_that_never_comes_is_told_by_what_the_engine_says(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_slowly(world, monkeypatch, 10_000)
    done = world.provision()
    assert (done.status, done.error) == ("failed", "The container name dockmgr-new is already in use.")
    assert world.nothing_is_left_of("new")


def test_an_adopted_one_is_made_again_as_its_maker_may_not_have_joined_all_networks(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    adopted(world, run)
    image = "registry.example.com/agent:2.0"
    world.engine.registry[image] = image_facts("agent-2")
    asked = made_slowly(world, monkeypatch, 100)
    before = len(asked)
    assert update(world, image=image).status == "succeeded"
    assert len(asked) > before + 2
    assert world.engine.containers == [NAME]


def test_whoever_else_took_the_name_meanwhile_is_left_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = world.engine.create

    def too_late(spec: ContainerSpec) -> str:
        create(replace(spec, labels={}))
        return create(spec)

    monkeypatch.setattr(world.engine, "create", too_late)
    done = world.provision()
    assert "dockmgr does not remove what it did not make" in done.error
    assert world.engine.containers == ["dockmgr-new"]


def removed_slowly(world: World, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """The engine removes containers for so long, and nobody waits for the answer."""
    remove, under_way = world.engine.remove, set[str]()

    def slowly(container: str, *, anonymous_volumes: bool = False) -> None:
        if container in under_way:
            raise TransientError("The removal is already in progress.")
        under_way.add(container)
        world.engine.change(container, state="removing")
        world.clock.at(seconds, lambda: remove(container, anonymous_volumes=anonymous_volumes))
        raise ContainerHung("The engine answers, but its calls about this container do not.")

    monkeypatch.setattr(world.engine, "remove", slowly)


def test_a_customer_leaves_whose_container_takes_minutes_to_remove(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.instance()
    removed_slowly(world, monkeypatch, 150)
    done = world.decommission(purge_data=True)
    assert (done.status, done.error) == ("succeeded", "")
    assert (world.engine.containers, world.engine.volumes) == ([], {})


def test_so_does_an_update_end_whose_old_container_takes_minutes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.instance()
    publish(world)
    removed_slowly(world, monkeypatch, 150)
    assert update(world).status == "succeeded"
    in_order(world)


@pytest.mark.parametrize("verb", ["rename", "start"])
def test_a_new_container_that_others_are_removing_is_made_again(
    world: World, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    world.instance()
    publish(world)
    call, removed = getattr(world.engine, verb), list[str]()

    def removed_meanwhile(container: str, *arguments: str) -> None:
        facts = world.engine.inspect(container)
        if facts and facts.state == "created" and not removed:
            removed.append(container)
            world.engine.change(container, state="removing")
            world.clock.at(5, lambda: world.engine.lose(container))
            raise NotFoundOnEngine("It is marked for removal and cannot be started.")
        call(container, *arguments)

    monkeypatch.setattr(world.engine, verb, removed_meanwhile)
    done = update(world)
    assert (done.status, done.error, len(removed)) == ("succeeded", "", 1)
    in_order(world)


def test_a_customers_container_that_others_are_removing_while_it_starts_is_made_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, start = world.instance(), world.engine.start

    def removed_meanwhile(container: str) -> None:
        if container == instance.container_id:
            world.engine.change(container, state="removing")
            world.clock.at(5, lambda: world.engine.lose(container))
            raise NotFoundOnEngine("It is marked for removal and cannot be started.")
        start(container)

    monkeypatch.setattr(world.engine, "start", removed_meanwhile)
    assert world.restart().status == "succeeded"
    in_order(world)


def test_what_an_engine_had_half_made_when_it_ended_is_made_anew_with_its_new_volumes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, create_volume, calls = world.engine.create, world.engine.create_volume, list[str]()

    def cut(spec: ContainerSpec) -> str:
        calls.append("create")
        identity = create(spec)
        if calls.count("create") == 1:
            world.engine.change(identity, networks={})
            raise EngineUnreachable("The Docker Engine is out of reach: it ended.")
        return identity

    def noted(name: str, labels: dict[str, str]) -> bool:
        calls.append("volume")
        return create_volume(name, labels)

    monkeypatch.setattr(world.engine, "create", cut)
    monkeypatch.setattr(world.engine, "create_volume", noted)
    assert world.provision().status == "succeeded"
    assert calls == ["volume", "create", "volume", "create"]
    assert world.engine.containers == ["dockmgr-new"]
    labels = world.engine.volume_labels("dockmgr-new-data")
    assert labels
    assert labels["dockmgr.customer_id"] == "new"


def test_former_data_is_kept_whatever_was_half_made(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.instance("new")
    world.decommission("new")
    create, made = world.engine.create, list[str]()

    def cut(spec: ContainerSpec) -> str:
        made.append(create(spec))
        if len(made) == 1:
            world.engine.change(made[0], networks={})
            raise EngineUnreachable("The Docker Engine is out of reach: it ended.")
        return made[-1]

    monkeypatch.setattr(world.engine, "create", cut)
    monkeypatch.setattr(world.engine, "remove_volume", world.engine.fail_next)
    assert world.provision(former_data="keep").status == "succeeded"
    assert len(made) == 2
