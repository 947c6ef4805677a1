"""What dockmgr did not make is left alone, and what an operator said stays said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.fleet import Fleet, a_fleet


@pytest.fixture
def fleet(home: Path, docker_url: str, broker_url: str, demo_image: str) -> Iterator[Fleet]:
    with a_fleet(home, docker_url, broker_url, demo_image, start_grace=3) as fleet:
        yield fleet


def put_a_stranger_in_place_of(fleet: Fleet, name: str) -> Any:
    ours = fleet.container(name)
    ours.remove(force=True)
    stranger = fleet.docker.containers.run(ours.image, name=ours.name, detach=True, init=True)
    stranger.reload()
    return stranger


def test_a_container_of_somebody_else_under_our_name_goes_on_running(fleet: Fleet) -> None:
    fleet.provision("one")
    stranger = put_a_stranger_in_place_of(fleet, "one")
    began = stranger.attrs["State"]["StartedAt"]
    for command, code in (("daily_health", 1), ("restart", 1), ("decommission", 0)):
        words = () if command == "daily_health" else ("--customer-id", fleet.customer("one"))
        done = fleet.run(command, *words)
        assert done.returncode == code, (command, done.stdout, done.stderr)
        stranger.reload()
        assert (stranger.status, stranger.attrs["State"]["StartedAt"]) == ("running", began), command
