"""Another engine, an emptied one, a disk that is not mounted: nothing is made up for what is not there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest

from dev.demo_image import build
from dev.servers import EngineServer, docker_engine, free_port
from tests.real.fleet import Fleet, a_fleet, ended_well
from tests.real.live import TAG, wait_until

NAMES = ("one", "two", "three")


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EngineServer, EngineServer]]:
    """Two private engines; older ones know themselves by a key that all on a machine would share."""
    folder = tmp_path_factory.mktemp("engines")
    own_key = {"deprecated-key-path": str(folder / "second-key.json")}
    with (
        docker_engine(folder / "first", {}) as first,
        docker_engine(folder / "second", {}, settings=own_key) as second,
    ):
        build(first.url, TAG)
        copy_image(first.url, second.url)
        yield first, second


def copy_image(source: str, target: str) -> None:
    """The exact image, so that what ran on one engine could run on the other."""
    with (
        closing(docker.DockerClient(base_url=source)) as first,
        closing(docker.DockerClient(base_url=target)) as second,
    ):
        second.images.load(b"".join(first.images.get(TAG).save(named=True)))


@pytest.fixture
def fleet(home: Path, engines: tuple[EngineServer, EngineServer], broker_url: str) -> Iterator[Fleet]:
    with a_fleet(home, engines[0].url, broker_url, TAG, start_grace=4) as fleet:
        yield fleet


def point_at(fleet: Fleet, url: str, **host: Any) -> None:
    entry = {"name": "local", "docker_url": url, **host}
    ended_well(fleet.run("apply", "-", stdin=json.dumps({"hosts": [entry]})))


def told(fleet: Fleet) -> list[tuple[str, str, str]]:
    rows = fleet.json("incidents", "--open")
    return [(row["kind"], row["cause"], row["severity"]) for row in rows]


def told_after_a_sweep(fleet: Fleet) -> list[tuple[str, str, str]]:
    """Its engine is asked every ten seconds at most, and what was told last may be of before."""
    fleet.run("daily_health")
    return told(fleet)


def everything(url: str) -> tuple[list[str], list[str]]:
    """The containers, by id, and the volumes of an engine."""
    with closing(docker.DockerClient(base_url=url)) as client:
        containers = [str(container.id) for container in client.containers.list(all=True)]
        return sorted(containers), sorted(volume.name for volume in client.volumes.list())


def is_left_alone(fleet: Fleet, url: str, cause: str) -> None:
    """Sweeps and orders by hand make nothing, one critical message says why."""
    before = everything(url)
    for _ in range(3):
        assert fleet.run("daily_health").returncode == 3
    refused = fleet.run("restart", "--customer-id", fleet.customer("one"), "--json")
    assert refused.returncode != 0 and "Traceback" not in refused.stderr
    assert everything(url) == before
    wait_until(lambda: told_after_a_sweep(fleet) == [("host", cause, "critical")], 120)
    assert fleet.health("restarts_used") == dict.fromkeys(NAMES, 0)
    assert set(fleet.health().values()) == {"unknown"}


def is_well_again(fleet: Fleet, url: str, before: tuple[list[str], list[str]]) -> None:
    report = fleet.json("daily_health")
    assert (report["healthy"], report["restarted"]) == (3, [])
    assert everything(url) == before


@pytest.mark.thorough
def test_nothing_is_made_anew_on_an_engine_that_is_not_the_known_one(
    fleet: Fleet, engines: tuple[EngineServer, EngineServer]
) -> None:
    first, second = engines
    fleet.provision_all(*NAMES)
    assert fleet.run("daily_health").returncode == 0
    before = everything(first.url)

    point_at(fleet, second.url)
    is_left_alone(fleet, second.url, "another_engine")
    assert everything(first.url) == before
    point_at(fleet, first.url)
    is_well_again(fleet, first.url, before)

    root, aside = emptied(first)
    try:
        build(first.url, TAG)
        is_left_alone(fleet, first.url, "data_lost")
    finally:
        filled_again(first, root, aside)
    is_well_again(fleet, first.url, before)

    point_at(fleet, second.url, accept_new_engine=True)
    assert fleet.run("daily_health").returncode != 0
    assert everything(second.url) == ([], [])
    who = ("--customer-id", fleet.customer("one"))
    ended_well(fleet.run("restart", *who, "--with-empty-data"))
    assert fleet.health()["one"] == "healthy" and len(everything(second.url)[0]) == 1
    point_at(fleet, first.url, accept_new_engine=True)


def emptied(engine: EngineServer) -> tuple[Path, Path]:
    """As if the disk its data is on had not been mounted when it was started."""
    with closing(docker.DockerClient(base_url=engine.url)) as client:
        root = Path(client.info()["DockerRootDir"])
    engine.stop()
    aside = root.with_name("not-mounted")
    root.rename(aside)
    root.mkdir()
    engine.start()
    return root, aside


def filled_again(engine: EngineServer, root: Path, aside: Path) -> None:
    engine.stop()
    root.rename(root.with_name("was-empty"))
    aside.rename(root)
    engine.start()


def test_a_folder_of_the_host_that_is_not_mounted_is_not_made(fleet: Fleet, tmp_path: Path) -> None:
    folder, port = tmp_path / "data", free_port()
    folder.mkdir()
    (folder / "kept").write_text("of the customer")
    name = f"dockmgr-{fleet.prefix}-gateway"
    fleet.docker.containers.run(
        TAG, name=name, detach=True, ports={"8080/tcp": ("0.0.0.0", port)},
        volumes={str(folder): {"bind": "/data", "mode": "rw"}},
    )  # fmt: skip
    who = ("--customer-id", fleet.customer("one"))
    adopted = ("adopt", *who, "--subdomain", "one.example.com", "--container", name)
    ended_well(fleet.run(*adopted, "--force"))
    assert fleet.run("daily_health").returncode == 0

    folder.rename(tmp_path / "not-mounted")
    fleet.docker.containers.get(name).remove(force=True)
    for _ in range(2):
        assert fleet.run("daily_health").returncode == 1
    assert not folder.exists() and fleet.containers() == []
    assert told(fleet) == [("instance", "data_missing", "critical")]

    (tmp_path / "not-mounted").rename(folder)
    ended_well(fleet.run("restart", *who))
    assert fleet.run("daily_health").returncode == 0
    shown = fleet.docker.containers.get(name).exec_run(["/bin/cat", "/data/kept"])
    assert shown.output == b"of the customer"
