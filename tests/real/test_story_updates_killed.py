"""Processes killed at every step of an update and of a provisioning: the next one ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dev.servers import EngineServer, docker_engine
from instances.operations.procedures import provision, update_start_first, update_stop_first
from tests.real.faults import (
    BAD,
    BUSY_GRACE,
    GATE,
    GOOD,
    OLD,
    Images,
    a_provisioning,
    all_is_well,
    an_update,
    build_images,
    carried_out,
    ends,
    provisioned,
    recovered_by_a_worker,
    steps_of,
    undo_steps_of,
)
from tests.real.fleet import Fleet, a_fleet
from tests.real.live import wait_until

pytestmark = pytest.mark.real

MakeFleet = Callable[..., Fleet]


@pytest.fixture(scope="module")
def own_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineServer]:
    """A private engine: nobody else's load makes gates fail."""
    with docker_engine(tmp_path_factory.mktemp("own-engine"), {}) as server:
        yield server


@pytest.fixture(scope="module")
def images(own_engine: EngineServer) -> Images:
    return build_images(own_engine.url)


@pytest.fixture
def make_fleet(home: Path, own_engine: EngineServer, broker_url: str, images: Images) -> Iterator[MakeFleet]:
    with ExitStack() as stack:

        def make(**plan: Any) -> Fleet:
            wanted = {"start_grace": BUSY_GRACE, "stop_timeout": 3, **plan}
            return stack.enter_context(a_fleet(home, own_engine.url, broker_url, OLD, **wanted))

        yield make


@pytest.mark.thorough
def test_an_update_killed_at_every_step_is_ended_by_a_worker(make_fleet: MakeFleet, images: Images) -> None:
    fleet = make_fleet()
    forth = steps_of(update_stop_first.PROCEDURE, "forth")
    back = undo_steps_of(update_stop_first.PROCEDURE, "back")
    before = provisioned(fleet, [*forth, *back])
    for name in before:
        fleet.inside(name, "echo precious >/data/kept")
    orders = [an_update(fleet, name, GOOD, step) for name, step in forth.items()]
    orders += [an_update(fleet, name, BAD, step) for name, step in back.items()]
    assert carried_out(fleet, orders) == ["killed"] * len(orders)
    assert fleet.unfinished() == len(orders)
    recovered_by_a_worker(fleet)
    all_is_well(fleet, before)
    assert ends(fleet, "update") == {
        **dict.fromkeys(forth, ("succeeded", images.good)),
        **dict.fromkeys(back, ("rolled_back", images.old)),
    }
    assert {name: fleet.container(name).id for name in back} == {name: before[name] for name in back}
    assert {name: fleet.read(name, "/data/kept") for name in before} == dict.fromkeys(before, "precious\n")
    assert fleet.volumes() == sorted(f"{name}-data" for name in before)


@pytest.mark.thorough
def test_a_start_first_update_killed_at_every_step_is_ended_by_a_worker(
    make_fleet: MakeFleet, images: Images
) -> None:
    fleet = make_fleet(data_path=None, update_strategy="start_first")
    forth = steps_of(update_start_first.PROCEDURE, "forth")
    back = undo_steps_of(update_start_first.PROCEDURE, "back")
    before = provisioned(fleet, [*forth, *back])
    orders = [an_update(fleet, name, GOOD, step, recorded=True) for name, step in forth.items()]
    orders += [an_update(fleet, name, BAD, step, recorded=True) for name, step in back.items()]
    assert carried_out(fleet, orders) == ["killed"] * len(orders)
    recovered_by_a_worker(fleet)
    all_is_well(fleet, before)
    assert ends(fleet, "update") == {
        **dict.fromkeys(forth, ("succeeded", images.good)),
        **dict.fromkeys(back, ("rolled_back", images.old)),
    }
    assert {name: fleet.container(name).id for name in back} == {name: before[name] for name in back}


@pytest.mark.thorough
def test_a_provisioning_killed_at_every_step_leaves_one_of_everything_or_nothing(
    make_fleet: MakeFleet, images: Images
) -> None:
    fleet = make_fleet()
    forth = steps_of(provision.PROCEDURE, "forth")
    back = undo_steps_of(provision.PROCEDURE, "back")
    orders = [a_provisioning(fleet, name, step, {}) for name, step in forth.items()]
    orders += [a_provisioning(fleet, name, step, {"MODE": "503"}) for name, step in back.items()]
    assert carried_out(fleet, orders) == ["killed"] * len(orders)
    recovered_by_a_worker(fleet)
    all_is_well(fleet, forth)
    assert ends(fleet, "provision") == {
        **dict.fromkeys(forth, ("succeeded", images.old)),
        **dict.fromkeys(back, ("failed", "")),
    }
    assert fleet.volumes() == sorted(f"{name}-data" for name in forth)
    assert all(fleet.boots(name) == 1 for name in forth)


@pytest.mark.thorough
def test_a_new_worker_ends_the_updates_a_killed_worker_had_begun(
    make_fleet: MakeFleet, images: Images
) -> None:
    fleet = make_fleet()
    before = provisioned(fleet, ["forth", "back"])
    with fleet.worker() as worker, fleet.stranger() as app:
        for name, image in (("forth", GOOD), ("back", BAD)):
            app.send_task("dockmgr.update", kwargs={"customer_id": fleet.customer(name), "image": image})
        wait_until(lambda: fleet.at_step("forth", "watch") and fleet.at_step("back", GATE))
        worker.kill()
        worker.wait()
    assert fleet.unfinished() == 2
    recovered_by_a_worker(fleet)
    all_is_well(fleet, before)
    assert ends(fleet, "update") == {"forth": ("succeeded", images.good), "back": ("rolled_back", images.old)}
    assert fleet.container("back").id == before["back"]
