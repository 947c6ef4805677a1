"""The Docker configuration of the home a worker runs in is none of dockmgr's business."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from instances.engine.docker_engine import DockerEngine
from tests.fakes.stub_server import Answer, StubServer, as_json

IMAGE = as_json({"Id": "sha256:1"})
ENGINE = {
    "/version": as_json({"ApiVersion": "1.41"}),
    "/v1.41/_ping": Answer(body=b"OK"),
    "/v1.41/containers/json": as_json([]),
    "/v1.41/images/create": Answer(body=b'{"status": "Pulling"}\n'),
    "/v1.41/images/ghcr.io/x/y:1/json": IMAGE,
}


@pytest.fixture
def server() -> Iterator[StubServer]:
    with StubServer(ENGINE.get).running() as server:
        yield server


@pytest.mark.parametrize("named", [True, False])
def test_no_file_of_the_home_or_named_by_the_environment_is_opened(
    server: StubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    folder = tmp_path / ".docker"
    folder.mkdir()
    os.mkfifo(folder / "config.json")  # whoever opened it would wait for ever
    if named:
        monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    else:
        monkeypatch.delenv("DOCKER_CONFIG", raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
    with closing(DockerEngine(f"tcp://{server.address}", timeout=5)) as engine:
        engine.ping()
        assert engine.list_containers() == []
        assert engine.pull("ghcr.io/x/y:1").id == "sha256:1"
