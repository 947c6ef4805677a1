"""The engine or the registry goes away in the middle of an operation: it is ended well all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dev.servers import EngineServer, docker_engine, free_port
from instances.containers.spec import container_name
from instances.operations.procedures import provision, update_stop_first
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
    steps_of,
    undo_steps_of,
)
from tests.real.fleet import Fleet, a_fleet
from tests.real.images import RANDOM_LAYER, Shelf, a_shelf
from tests.real.narrow_path import NarrowPath, State

pytestmark = pytest.mark.real

MakeFleet = Callable[..., Fleet]


@pytest.fixture(scope="module")
def own_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineServer]:
    settings = {"max-download-attempts": 2}  # five take the engine more than a minute
    with docker_engine(tmp_path_factory.mktemp("own-engine"), {}, settings=settings) as server:
        yield server


@pytest.fixture(scope="module")
def images(own_engine: EngineServer) -> Images:
    return build_images(own_engine.url, boot_seconds=1)


@pytest.fixture
def make_fleet(home: Path, own_engine: EngineServer, broker_url: str, images: Images) -> Iterator[MakeFleet]:
    with ExitStack() as stack:

        def make(**plan: Any) -> Fleet:
            wanted = {"start_grace": BUSY_GRACE, "stop_timeout": 3, **plan}
            environ = {
                "DOCKMGR_FAILURE_THRESHOLD": "1",  # the least failure of a booting program counts
                "DOCKMGR_PROBE_TIMEOUT": "3",  # but not an answer that a busy machine delays
            }
            return stack.enter_context(
                a_fleet(home, own_engine.url, broker_url, OLD, environ=environ, **wanted)
            )

        yield make


def restarted(server: EngineServer) -> None:
    server.stop()
    server.start()


def crashed(server: EngineServer) -> None:
    server.kill()
    server.start()


@pytest.fixture
def shelf(tmp_path: Path, own_engine: EngineServer) -> Iterator[Shelf]:
    with a_shelf(tmp_path, own_engine.url) as shelf:
        yield shelf


HALTS = {"recorded": True, "halts": True}
SERVING = ("start next", GATE, "watch", "write down", "see running", "start")


@pytest.mark.thorough
def test_an_engine_that_restarts_at_any_step_keeps_no_operation_from_its_end(
    make_fleet: MakeFleet, images: Images, own_engine: EngineServer
) -> None:
    fleet = make_fleet()
    forth, back = (
        steps_of(update_stop_first.PROCEDURE, "forth"),
        undo_steps_of(update_stop_first.PROCEDURE, "back"),
    )
    born, still = steps_of(provision.PROCEDURE, "born"), undo_steps_of(provision.PROCEDURE, "still")
    before = provisioned(fleet, [*forth, *back])
    policies = {name: adopted(fleet, name) for name in ("forth-always", "back-always")}
    orders = [an_update(fleet, name, GOOD, step, **HALTS) for name, step in forth.items()]
    orders += [an_update(fleet, name, BAD, step, **HALTS) for name, step in back.items()]
    orders += [a_provisioning(fleet, name, step, {}, **HALTS) for name, step in born.items()]
    orders += [a_provisioning(fleet, name, step, {"MODE": "503"}, **HALTS) for name, step in still.items()]
    orders += [an_update(fleet, "forth-always", GOOD, "stop old", halts=True)]
    orders += [an_update(fleet, "back-always", BAD, "undo start next", halts=True)]
    up: list[str] = []

    def restart_and_look() -> None:
        restarted(own_engine)
        up.extend(str(c.name) for c in fleet.docker.containers.list())

    assert carried_out(fleet, orders, restart_and_look) == ["ended 0"] * len(orders)
    assert [name for name in up if "always" in name] == []
    assert ends(fleet, "update") == {
        **dict.fromkeys([*forth, "forth-always"], ("succeeded", images.good)),
        **dict.fromkeys([*back, "back-always"], ("rolled_back", images.old)),
    }
    all_is_well(fleet, [*before, *policies, *born])
    assert {name: fleet.container(name).id for name in back} == {name: before[name] for name in back}
    assert {name: host_config(fleet, name) for name in policies} == policies
    assert fleet.volumes() == sorted(f"{name}-data" for name in [*before, *policies, *born])


@pytest.mark.thorough
def test_an_engine_that_crashes_leaves_containers_stopped_which_are_started(
    make_fleet: MakeFleet, images: Images, own_engine: EngineServer
) -> None:
    fleet = make_fleet()
    forth = {
        name: step for name, step in steps_of(update_stop_first.PROCEDURE, "forth").items() if step in SERVING
    }
    born = {name: step for name, step in steps_of(provision.PROCEDURE, "born").items() if step in SERVING}
    before = provisioned(fleet, forth)
    orders = [an_update(fleet, name, GOOD, step, **HALTS) for name, step in forth.items()]
    orders += [a_provisioning(fleet, name, step, {}, **HALTS) for name, step in born.items()]
    assert carried_out(fleet, orders, lambda: crashed(own_engine)) == ["ended 0"] * len(orders)
    assert ends(fleet, "update") == dict.fromkeys(forth, ("succeeded", images.good))
    all_is_well(fleet, [*before, *born])


@pytest.mark.thorough
def test_a_registry_that_stops_in_the_middle_of_a_transfer_is_waited_for_but_not_for_ever(
    shelf: Shelf, make_fleet: MakeFleet, images: Images
) -> None:
    fleet = make_fleet()
    before = provisioned(fleet, ("patient", "stranded"))
    for name in before:  # a layer of its own each, or the engine would fetch it once for both
        shelf.push_changed(name, RANDOM_LAYER)
    with ExitStack() as stack:
        paths = {name: stack.enter_context(NarrowPath(shelf.server.address).running()) for name in before}
        orders = [updates_by(fleet, name, shelf.ref(name, path.address)) for name, path in paths.items()]
        done = stack.enter_context(ThreadPoolExecutor(1)).submit(carried_out, fleet, orders)
        assert all(path.under_way.wait(60) for path in paths.values())
        shelf.server.stop()
        paths["patient"].cut(State.OPEN)
        paths["stranded"].cut(State.BROKEN)
        shelf.server.start()
        assert done.result() == ["ended 0"] * 2
    all_is_well(fleet, before)
    assert ends(fleet, "update") == {
        "patient": ("succeeded", str(fleet.docker.images.get(orders[0]["image"]).id)),
        "stranded": ("failed", images.old),
    }
    assert fleet.container("stranded").id == before["stranded"]
    assert "did not pull" in fleet.operations("stranded")[0]["error"]


def updates_by(fleet: Fleet, name: str, image: str) -> dict[str, Any]:
    return {"kind": "update", "customer_id": fleet.customer(name), "image": image}


def host_config(fleet: Fleet, name: str) -> dict[str, Any]:
    """What the engine was told of a container, without what is empty: that it writes in several ways."""
    answer = fleet.docker.api.inspect_container(container_name(fleet.customer(name)))
    return {key: value for key, value in answer["HostConfig"].items() if value}


def adopted(fleet: Fleet, name: str) -> dict[str, Any]:
    """A container under a policy by which an engine starts it whenever the engine itself starts."""
    customer = fleet.customer(name)
    container, policy = container_name(customer), {"Name": "always", "MaximumRetryCount": 0}
    options: dict[str, Any] = {
        "ports": {"8080/tcp": ("127.0.0.1", free_port())},
        "volumes": [f"{container}-data:/data"],
        "restart_policy": policy,
    }
    fleet.docker.containers.run(OLD, name=container, detach=True, init=True, **options)
    fleet.json("adopt", "--customer-id", customer, "--subdomain", customer, "--container", container)
    return host_config(fleet, name)
