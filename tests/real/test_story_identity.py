"""What other tools do to running containers, on PostgreSQL and a real engine: seen, told, left alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from instances.containers.spec import container_name
from tests.real.fleet import Fleet, a_fleet

pytestmark = pytest.mark.real

RENAMED, COPIED, STRANGE, SHARED = NAMES = ("renamed", "copied", "strange", "shared")


@pytest.fixture
def fleet(home: Path, docker_url: str, broker_url: str, demo_image: str, database: str) -> Iterator[Fleet]:
    environ = {"DOCKMGR_RECHECK_INTERVAL": "1"}
    with a_fleet(
        home, docker_url, broker_url, demo_image, database_url=database, environ=environ, start_grace=4
    ) as fleet:
        yield fleet


def name_of(fleet: Fleet, name: str) -> str:
    return container_name(fleet.customer(name))


def copy(fleet: Fleet, name: str) -> str:
    """As watchtower, compose and Portainer do: remove the container, and make it anew as it was."""
    api, told = fleet.docker.api, fleet.container(name).attrs
    api.remove_container(told["Id"], force=True)
    config = {**told["Config"], "HostConfig": told["HostConfig"]}
    config.pop("Hostname")
    made = str(api.create_container_from_config(config, name=name_of(fleet, name))["Id"])  # type: ignore[no-untyped-call]
    api.start(made)
    return made


def stand_in(fleet: Fleet, name: str, image: str) -> str:
    """Somebody moves the container aside, stops it, and starts one of their own under its name."""
    own = fleet.container(name)
    own.stop(timeout=1)
    own.rename(f"{own.name}-old")
    return str(fleet.docker.containers.run(image, name=name_of(fleet, name), detach=True).id)


def ids(fleet: Fleet) -> dict[str, str]:
    found = fleet.docker.containers.list(all=True, filters={"name": f"dockmgr-{fleet.prefix}-"})
    return {str(c.name).removeprefix(f"dockmgr-{fleet.prefix}-"): str(c.id) for c in found}


@pytest.mark.thorough
def test_containers_that_others_changed_are_named_and_never_doubled(fleet: Fleet, demo_image: str) -> None:
    fleet.provision_all(*NAMES)
    fleet.container(RENAMED).rename(f"{name_of(fleet, RENAMED)}-c0ffee")
    copied = copy(fleet, COPIED)
    stranger = stand_in(fleet, STRANGE, demo_image)
    shared = fleet.container(SHARED)
    sidecar = fleet.docker.containers.run(
        demo_image, name=f"{shared.name}-sidecar", network_mode=f"container:{shared.id}", detach=True
    )
    before = ids(fleet)
    report = fleet.json("daily_health", code=1)
    assert (report["healthy"], report["restarted"]) == (3, [])
    assert ids(fleet) == before, "nothing was made, and nothing removed"

    rows = fleet.instances()
    assert {name: rows[name]["finding"] for name in NAMES} == {
        RENAMED: "renamed", COPIED: "replaced", STRANGE: "replaced", SHARED: None,
    }  # fmt: skip
    assert fleet.health("restarts_used") == dict.fromkeys(NAMES, 0)
    told = {
        (i["customer_id"], i["cause"]) for i in fleet.json("incidents", "--open") if i["kind"] == "container"
    }
    assert told == {
        (fleet.customer(RENAMED), "renamed"), (fleet.customer(COPIED), "replaced"),
        (fleet.customer(STRANGE), "replaced"),
    }  # fmt: skip
    who = {name: ("--customer-id", fleet.customer(name)) for name in NAMES}
    validation = fleet.json("validate", *who[STRANGE], code=1)
    assert "replaced" in {error["code"] for error in validation["errors"]}
    refused = fleet.json("restart", *who[STRANGE], code=1)
    assert "Remove or rename the other one" in refused["error"]
    assert "sidecar" in fleet.json("update", *who[SHARED], code=1)["error"]

    sidecar.remove(force=True)
    fleet.docker.containers.get(stranger).remove(force=True)
    fleet.json("restart", *who[RENAMED])
    fleet.json("restart", *who[COPIED])
    report = fleet.json("daily_health")
    assert report["healthy"] == 4
    after = ids(fleet)
    assert sorted(after) == sorted(NAMES)
    assert (after[COPIED], after[RENAMED]) == (copied, before[f"{RENAMED}-c0ffee"])
    assert after[STRANGE] == before[f"{STRANGE}-old"], "its own one, with its name and its data again"
    assert {name: fleet.boots(name) for name in (RENAMED, COPIED, STRANGE)} == {
        RENAMED: 2, COPIED: 3, STRANGE: 2,
    }  # fmt: skip
    assert not [row for row in fleet.json("incidents", "--open") if row["kind"] == "container"]
