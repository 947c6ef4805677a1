"""A secret that was set anew stays hidden as long as a container has the old one."""

from __future__ import annotations

import pytest

from instances.admin.secret_setting import set_variable
from instances.fleet.apply import apply
from instances.fleet.file import parse
from instances.models import Instance, Plan
from instances.operations import read_logs, service
from tests.factories import ASKED, SECRET, World
from tests.fast.updates import publish, update

pytestmark = pytest.mark.django_db
OLD, NEWER, NEWEST = "first-value-1", "second-value-2", "third-value-3"


def log_of(world: World, *words: str) -> list[str]:
    """What is shown of a log with these words, whichever container wrote them."""
    instance = Instance.objects.select_related("plan", "host").get(customer_id="c1")
    world.engine.write_log(instance.container_name, (" ".join(words) + "\n").encode())
    return read_logs.read(instance, world.outside.engines, 1, None).lines


def set_own(value: str) -> None:
    set_variable(Instance, Instance.objects.get().pk, {"name": "TOKEN_OF_OURS", "value": value})


def set_plans(value: str) -> None:
    set_variable(Plan, Plan.objects.get(name="pro").pk, {"name": "TOKEN_OF_OURS", "value": value})


def restarted(world: World) -> bool:
    operation = service.begin_restart("c1", ASKED, world.outside)
    return service.run_to_end(operation.pk, world.outside).status == "succeeded"


def former() -> list[str]:
    return Instance.objects.get().former_values or []


@pytest.mark.parametrize("set_value", [set_own, set_plans])
def test_a_value_that_was_replaced_is_hidden_in_the_log_of_the_container_that_has_it(
    world: World, set_value: object
) -> None:
    world.instance()
    assert log_of(world, "ready") == ["ready"]
    for value in (OLD, NEWER, NEWEST, ""):
        set_value(value)  # type: ignore[operator]
    assert log_of(world, OLD, NEWER, NEWEST) == ["[redacted] [redacted] [redacted]"]


def test_a_value_the_fleet_file_replaces_is_hidden_as_well(world: World) -> None:
    world.instance()
    for value in (OLD, NEWER):
        apply(parse(f"plans: [{{name: pro, env: {{TOKEN_OF_OURS: {value}}}}}]"))
    assert log_of(world, OLD, NEWER) == ["[redacted] [redacted]"]


def test_a_value_set_by_any_save_is_kept(world: World) -> None:
    instance = world.instance()
    instance.env = {"TOKEN_OF_OURS": OLD}
    instance.save()
    instance.env = {"TOKEN_OF_OURS": NEWER}
    instance.save(update_fields=["env"])
    assert former() == [OLD, SECRET]


def test_an_update_forgets_what_the_new_container_does_not_have(world: World) -> None:
    world.instance()
    set_own(OLD)
    set_own(NEWER)
    assert former() == [OLD]
    publish(world)
    assert update(world).status == "succeeded"
    assert former() == []
    assert log_of(world, NEWER) == ["[redacted]"]


def test_what_is_replaced_while_an_update_makes_the_container_is_kept(world: World) -> None:
    world.instance()
    set_own(OLD)
    publish(world)
    start = world.engine.start

    def start_while_somebody_sets_it_anew(container: str) -> None:
        start(container)
        set_own(NEWER)

    world.engine.start = start_while_somebody_sets_it_anew  # type: ignore[method-assign]
    assert update(world).status == "succeeded"
    assert former() == [OLD]
    assert log_of(world, OLD, NEWER) == ["[redacted] [redacted]"]


def test_a_container_that_is_made_anew_lets_the_old_value_be_forgotten(world: World) -> None:
    instance = world.instance()
    set_own(OLD)
    set_own(NEWER)
    world.engine.lose(instance.container_name)
    assert restarted(world)
    assert former() == []


def test_a_value_that_comes_back_is_a_former_one_no_more(world: World) -> None:
    world.instance()
    for value in (OLD, NEWER, OLD):
        set_own(value)
    assert former() == [NEWER]


def test_nothing_is_kept_of_a_customer_who_left(world: World) -> None:
    world.instance()
    set_own(OLD)
    world.decommission()
    assert former() == []


def test_former_values_are_bounded_and_the_newest_stay(world: World) -> None:
    world.instance()
    for numbers in (range(150), range(150, 250), range(0)):
        row = Instance.objects.get()
        row.env = {f"A{number}": f"value-number-{number}" for number in numbers}
        row.save(update_fields=["env"])
    assert len(former()) == 200
    assert former()[0] == "value-number-150"
    assert set(former()[:100]) == {f"value-number-{number}" for number in range(150, 250)}


def test_labels_are_no_oracle_for_weak_secrets(world: World, settings: object) -> None:
    instance = world.instance()
    label = instance.spec().labels["dockmgr.spec"]
    settings.SECRET_KEY = "another-key-of-another-installation"  # type: ignore[attr-defined]
    assert instance.spec().labels["dockmgr.spec"] != label
