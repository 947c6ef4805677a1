"""A way back that meets what nobody foresaw: it is gone all the same, or it ends and says what is left."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DataError, OperationalError

from instances import state_file
from instances.checks.record import record
from instances.checks.roster import Roster
from instances.containers.spec import labels_for, next_name, previous_name
from instances.errors import EngineUnreachable, PermanentError, TransientError
from instances.fleet.sweep import check_here
from instances.lib.storable import MARK
from instances.models import Incident, Instance, Operation
from instances.operations import service
from instances.operations.procedures import restart as restarting
from instances.operations.procedures import update_stop_first
from tests.factories import IMAGE, World, a_failure, health_of
from tests.fakes.facts import image_facts
from tests.fast.updates import (
    NEW,
    OLD,
    answers_by_image,
    back_in_place,
    begin,
    in_order,
    publish,
    steps,
    update,
)

pytestmark = pytest.mark.django_db

REFUSED = PermanentError("The engine refuses that.")
AWAY = EngineUnreachable("The engine does not answer.")


@pytest.fixture
def old(world: World) -> Instance:
    """A healthy instance on the old image; what the registry has under the same name is not healthy."""
    publish(world)
    instance = world.instance()
    world.engine.images["agent:before"] = world.engine.images[IMAGE]
    answers_by_image(world, instance.port)
    return instance


def pruned(world: World, *, image: bool = False) -> Callable[[], None]:
    """Somebody removes all containers that are stopped, and images nobody needs."""

    def prune() -> None:
        for name in world.engine.containers:
            facts = world.engine.inspect(name)
            if facts and facts.state == "exited":
                world.engine.lose(name)
        if image:
            world.engine.images = {ref: held for ref, held in world.engine.images.items() if held.id != OLD}

    return prune


def test_a_log_with_a_zero_byte_keeps_no_update_from_being_rolled_back(world: World, old: Instance) -> None:
    world.clock.at(1, lambda: world.engine.write_log(old.container_name, b"a\0b\xed\xa0\xbdc\n"))
    done = update(world)
    assert done.status == "rolled_back"
    assert "\0" not in str(done.facts["logs"])
    back_in_place(world, old)


def test_an_explanation_that_fails_in_any_way_keeps_none_from_it(
    world: World,
    old: Instance,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise DataError("?")

    monkeypatch.setattr("instances.operations.steps.explain.last_lines", fails)
    assert update(world).status == "rolled_back"
    back_in_place(world, old)


def test_nor_does_a_state_file_that_can_not_be_written(
    world: World, old: Instance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> None:
        raise ValueError("not today")

    monkeypatch.setattr(state_file, "write", fails)
    assert update(world).status == "rolled_back"
    [line] = [text for text in caplog.messages if "The state file" in text]
    assert re.fullmatch(r"The state file: ValueError at test_way_back.py:\d+", line)


def test_a_container_that_was_removed_meanwhile_is_made_anew_on_its_image(
    world: World, old: Instance
) -> None:
    world.clock.at(1, pruned(world))
    done = update(world)
    assert (done.status, done.image_after) == ("rolled_back", OLD)
    now = in_order(world)
    assert now.container_id != old.container_id
    assert (now.image_id, now.failed_images, health_of(old).status) == (OLD, [NEW], "healthy")
    assert now.env == old.env


def test_it_is_never_made_on_empty_data(world: World, old: Instance) -> None:
    def all_is_lost() -> None:
        for name in world.engine.containers:
            world.engine.lose(name)
        del world.engine.volumes[old.volume_name]

    world.clock.at(1, all_is_lost)
    done = update(world)
    assert done.status == "failed"
    assert "neither does the data it had" in done.error
    assert old.volume_name not in world.engine.volumes
    old.refresh_from_db()
    list(check_here(Roster.of_rows([old]), world.outside))
    assert (health_of(old).status, health_of(old).reason) == ("failed", "data_missing")


def test_nor_on_data_of_somebody_else(world: World, old: Instance) -> None:
    def others_took_its_place() -> None:
        for name in world.engine.containers:
            world.engine.lose(name)
        world.engine.volumes[old.volume_name] = labels_for("c2", "pro")

    world.clock.at(1, others_took_its_place)
    done = update(world)
    assert (done.status, world.engine.containers) == ("failed", [])
    undone = next(step for step in done.steps if step["name"] == "undo stop old")
    assert "customer c2, and is not mounted." in undone["detail"]


def test_what_another_tool_labelled_is_mounted_again_where_the_old_container_has_it(
    world: World, old: Instance
) -> None:
    world.engine.volumes[old.volume_name] = {"com.docker.compose.project": "shop"}
    assert update(world).status == "rolled_back"
    back_in_place(world, old)


def test_so_it_is_when_the_process_dies_while_it_is_made(world: World, old: Instance) -> None:
    world.clock.at(1, pruned(world))
    world.engine.fail_next("start", TransientError("?"))
    assert update(world).status == "rolled_back"
    assert in_order(world).image_id == OLD


def test_an_image_that_was_removed_along_with_it_is_fetched_by_its_digest(
    world: World, old: Instance
) -> None:
    digest = "registry.example.com/agent@sha256:agent-1"
    Instance.objects.update(image_digest=digest)
    world.engine.registry[digest] = image_facts("agent-1")
    world.clock.at(1, pruned(world, image=True))
    done = update(world)
    assert (done.status, done.image_after) == ("rolled_back", OLD)
    assert world.engine.pulls[-1] == digest
    assert (in_order(world).image_id, health_of(old).status) == (OLD, "healthy")


def test_with_its_image_gone_as_well_the_operation_ends_and_healing_takes_over(
    world: World, old: Instance
) -> None:
    world.clock.at(1, pruned(world, image=True))
    done = update(world)
    assert done.status == "failed"
    assert "Not undone: stop old" in done.error
    assert "on host local" in done.error
    undone = next(step for step in done.steps if step["name"] == "undo stop old")
    assert (undone["status"], undone["failures"], undone["refusals"]) == ("failed", 5, 5)
    assert undone["detail"].endswith("(5th try)")
    assert steps(done)["undo note old"] == "done"
    assert health_of(old).status == "unhealthy"
    assert restarting.begin_automatic(old.pk, world.now) is not None
    assert Incident.objects.open().filter(kind="instance", instance=old).exists()


def test_the_rest_of_the_way_back_is_gone_where_one_step_is_refused_for_good(
    world: World, old: Instance
) -> None:
    for _ in range(5):
        world.engine.fail_next("remove", REFUSED)
    done = update(world)
    assert (done.status, steps(done)["undo start next"]) == ("failed", "failed")
    assert (steps(done)["undo set old aside"], steps(done)["undo create next"]) == ("done", "done")
    assert world.engine.containers == [old.container_name]
    assert health_of(old).status == "healthy"


def test_the_old_one_is_not_started_beside_a_new_one_that_can_not_be_stopped(
    world: World, old: Instance
) -> None:
    def wedged(container: str, timeout: int) -> None:
        if container != old.container_id:
            raise REFUSED
        stop(container, timeout)

    stop, world.engine.stop = world.engine.stop, wedged  # type: ignore[method-assign]
    for _ in range(5):
        world.engine.fail_next("remove", REFUSED)
    done = update(world)
    facts = world.engine.inspect(old.container_id)
    assert facts
    assert (done.status, facts.state) == ("failed", "exited")
    assert f"container {next_name(old.container_name)}" in done.error
    assert f"container {old.container_name} " in done.error
    assert health_of(old).status == "unhealthy"
    world.engine.stop = stop  # type: ignore[method-assign]
    assert world.restart().status == "succeeded"
    left = world.engine.inspect(next_name(old.container_name))
    assert left
    assert left.state == "exited"


def test_what_may_pass_is_tried_for_as_long_as_it_lasts_in_one_entry(world: World, old: Instance) -> None:
    operation = begin(world)
    world.clock.at(1, lambda: setattr(world.engine, "unreachable", True))
    world.clock.at(600, lambda: setattr(world.engine, "unreachable", False))
    done = service.run_to_end(operation.pk, world.outside)
    assert done.status == "rolled_back"
    undone = [step for step in done.steps if step["name"] == "undo start next"]
    assert [step["status"] for step in undone] == ["failed", "done"]
    assert (undone[0]["failures"] > 6, undone[0]["refusals"]) == (True, 0)
    assert len(done.steps) < 40
    back_in_place(world, old)


def test_a_defect_while_closing_ends_as_well(
    world: World, old: Instance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: Any) -> None:
        raise DataError("value too long")

    monkeypatch.setattr(update_stop_first, "remember_bad_image", fails)
    done = update(world)
    assert (done.status, steps(done)["close"]) == ("failed", "failed")
    assert f"container {old.container_name} " in done.error
    assert "value too long" in caplog.text


def test_a_refused_value_undoes_and_a_lost_line_does_not(
    world: World, old: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gate(error: Exception) -> Callable[..., Any]:
        def fails(*_: Any) -> None:
            raise error

        return fails

    gate_of = "instances.operations.steps.replace.wait_until_healthy"
    monkeypatch.setattr(gate_of, gate(DataError("unsupported Unicode escape sequence")))
    done = update(world)
    assert done.status == "rolled_back"
    assert done.error == "dockmgr itself failed here; its log has the details."
    monkeypatch.setattr(gate_of, gate(OperationalError("server closed the connection unexpectedly")))
    operation = begin(world, image=IMAGE)
    with pytest.raises(OperationalError):
        service.run_once(operation.pk, world.outside)
    assert not Operation.objects.get(pk=operation.pk).undoing


def test_behind_the_point_of_no_return_it_ends_too(world: World) -> None:
    """And what an update left aside is in nobody's way."""
    publish(world)
    instance = world.instance()
    for _ in range(5):
        world.engine.fail_next("remove", REFUSED)
    done = update(world)
    assert (done.status, steps(done)["remove old"]) == ("failed", "failed")
    assert f"container {previous_name(instance.container_name)}" in done.error
    now = Instance.objects.get()
    assert (now.image_id, health_of(now).status) == (NEW, "healthy")
    publish(world, "agent-3")
    assert update(world).status == "succeeded"
    in_order(world)


def test_a_check_whose_words_hold_a_zero_byte_is_kept(world: World) -> None:
    old = world.instance()
    world.clock.advance(1)
    record([a_failure(world, old, error="a\0b")], world.now)
    assert health_of(old).error == f"a{MARK}b"
