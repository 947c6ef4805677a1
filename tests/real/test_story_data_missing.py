"""Data or an engine that is gone: nothing is made up for it, whatever is called."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.fleet import Fleet, a_fleet


@pytest.fixture
def fleet(home: Path, docker_url: str, broker_url: str, demo_image: str) -> Iterator[Fleet]:
    with a_fleet(home, docker_url, broker_url, demo_image, start_grace=3) as fleet:
        yield fleet


def test_a_container_removed_with_its_volume_is_not_made_anew_on_an_empty_one(fleet: Fleet) -> None:
    fleet.provision("one")
    who, container = ("--customer-id", fleet.customer("one")), fleet.container("one")
    volume = fleet.docker.volumes.get(f"{container.name}-data")
    container.remove(force=True)
    volume.remove()
    report = fleet.run("daily_health", "--json")
    assert report.returncode == 1, report.stderr
    assert fleet.containers() == []
    assert fleet.sql("SELECT status, reason, restarts_used FROM instances_health") == [
        ("failed", "data_missing", 0)
    ]
    assert fleet.run("restart", *who).returncode == 1
    assert fleet.containers() == []
    done = fleet.run("restart", *who, "--with-empty-data")
    assert done.returncode == 0, done.stderr
    assert fleet.health() == {"one": "healthy"}


def test_a_volume_whose_folder_is_gone_from_the_disk_is_data_that_is_missing(fleet: Fleet) -> None:
    fleet.provision("one")
    container = fleet.container("one")
    folder = Path(fleet.docker.volumes.get(f"{container.name}-data").attrs["Mountpoint"])
    aside = folder.with_name("aside")
    container.kill()
    folder.rename(aside)
    assert fleet.run("daily_health").returncode == 1
    state = "SELECT status, reason, restarts_used FROM instances_health"
    assert fleet.sql(state) == [("failed", "data_missing", 0)]
    [told] = fleet.sql("SELECT severity, message FROM instances_incident")
    assert told[0] == "critical" and told[1].startswith(f"The data of {fleet.customer('one')} is missing. ")
    assert "begin anew with restart --with-empty-data" in fleet.operations("one")[0]["error"]
    aside.rename(folder)
    assert fleet.run("daily_health").returncode == 1  # it is tried again after a quarter of an hour
    fleet.change("UPDATE instances_health SET restart_not_before = '2026-01-01 00:00:00'")
    assert fleet.run("daily_health").returncode == 0
    assert fleet.boots("one") == 2


def test_data_that_a_backup_uses_is_purged_when_the_backup_is_over(fleet: Fleet) -> None:
    fleet.provision("one")
    container = fleet.container("one")
    volume = f"{container.name}-data"
    backup = fleet.docker.containers.create(
        container.image, name=f"{fleet.prefix}-backup", volumes=[f"{volume}:/b"]
    )
    try:
        done = fleet.json("decommission", "--customer-id", fleet.customer("one"), "--purge-data")
        assert done["status"] == "succeeded"
        assert backup.name in done["steps"][-1]["detail"]
        assert fleet.run("daily_health").returncode == 0
        assert fleet.containers() == []
        assert fleet.sql("SELECT volume FROM instances_pendingpurge") == [(volume,)]
    finally:
        backup.remove(force=True)
        fleet.docker.volumes.get(volume).remove()
