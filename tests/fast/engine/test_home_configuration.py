"""The Docker configuration of the home a worker runs in is none of dockmgr's business."""

from __future__ import annotations

import json
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
KNOWN = {"ghcr.io": {"auth": "dXNlcjpzZW50aW5lbC12YWx1ZQ=="}}
PROXIES = {"default": {"httpProxy": "http://127.0.0.1:1"}}
ODD = [{"auths": KNOWN}, {"credsStore": "desktop"}, {"proxies": PROXIES}, None]


@pytest.fixture(params=[*(json.dumps(odd).encode() for odd in ODD), b"{"])
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / ".docker"
    folder.mkdir()
    (folder / "config.json").write_bytes(request.param)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    return tmp_path


@pytest.fixture
def server() -> Iterator[StubServer]:
    with StubServer(ENGINE.get).running() as server:
        yield server


def use(server: StubServer) -> None:
    with closing(DockerEngine(f"tcp://{server.address}", timeout=5)) as engine:
        engine.ping()
        assert engine.list_containers() == []
        assert engine.pull("ghcr.io/x/y:1").id == "sha256:1"


@pytest.mark.usefixtures("home")
def test_whatever_the_home_holds_the_engine_is_reached_and_pulled_from(server: StubServer) -> None:
    use(server)


def test_a_configuration_named_by_the_environment_is_not_read_either(
    server: StubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text('{"credsStore": "desktop"}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    use(server)


def test_no_file_of_the_home_is_opened(
    server: StubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".docker").mkdir()
    os.mkfifo(tmp_path / ".docker" / "config.json")  # whoever opened it would wait for ever
    monkeypatch.setenv("HOME", str(tmp_path))
    use(server)
