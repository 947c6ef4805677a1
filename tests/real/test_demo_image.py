"""The demo image on a real engine: every way it can behave, over real HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator

import docker
import pytest
from docker.models.containers import Container

from dev import demo_image
from dev.servers import EngineServer, docker_engine, free_port
from tests.real.live import TAG, container_output, docker_client, get, is_up, run, wait_until

pytestmark = pytest.mark.real

Demo = tuple[Container, int]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineServer]:
    with docker_engine(tmp_path_factory.mktemp("engine"), {}) as server:
        demo_image.build(server.url, TAG)
        yield server


@pytest.fixture
def client(engine: EngineServer) -> Iterator[docker.DockerClient]:
    with docker_client(engine.url) as client:
        yield client


@pytest.fixture
def demo(client: docker.DockerClient) -> Iterator[Demo]:
    port = free_port()
    container = run(client, port)
    try:
        wait_until(lambda: is_up(port))
        yield container, port
    finally:
        container.remove(force=True, v=True)


def test_it_tells_version_and_uptime_and_is_labelled(demo: Demo) -> None:
    container, port = demo
    status, body = get(port)
    uptime = body.pop("uptime")
    assert (status, body) == (200, {"ok": True, "status": "live", "version": "1.0.0"})
    assert 0 <= uptime < 120
    assert container.labels["dockmgr.demo"] == "true"
    assert container.labels["org.opencontainers.image.version"] == "1.0.0"


@pytest.mark.parametrize(
    ("mode", "status", "said"),
    [
        ("503", 503, {"ok": False, "status": "failing"}),
        ("notok", 200, {"ok": False, "status": "failing"}),
        ("starting", 200, {"ok": True, "gateway": "starting"}),
    ],
)
def test_a_mode_lasts_until_the_restart(demo: Demo, mode: str, status: int, said: dict[str, object]) -> None:
    container, port = demo
    assert get(port, f"/mode/{mode}") == (200, {"mode": mode})
    answered, body = get(port)
    assert (answered, body | said) == (status, body)
    container.restart(timeout=10)
    wait_until(lambda: is_up(port))
    assert get(port)[1]["status"] == "live"


def test_hang_accepts_and_never_answers_until_switched_back(demo: Demo) -> None:
    container, port = demo
    get(port, "/mode/hang")
    with pytest.raises(TimeoutError):
        get(port, timeout=0.5)
    assert get(port, "/mode/ok")[0] == 200
    assert is_up(port)
    wait_until(lambda: " cat" not in container_output(container, "ps"))


def test_exit_ends_the_main_process_with_1(demo: Demo) -> None:
    container, port = demo
    assert get(port, "/mode/exit")[0] == 200
    assert container.wait(timeout=30)["StatusCode"] == 1


def test_an_unknown_mode_is_refused_and_every_request_is_logged(demo: Demo) -> None:
    container, port = demo
    assert get(port, "/mode/../../etc")[0] == 400
    assert get(port, "/nothing")[0] == 404
    for line in ("GET /mode/../../etc 400", "GET /nothing 404"):
        wait_until(lambda line=line: line in container.logs().decode())  # type: ignore[misc]


def test_it_stops_promptly_also_while_it_boots(client: docker.DockerClient) -> None:
    port = free_port()
    container = run(client, port, environment={"BOOT_SECONDS": "60"})
    try:
        wait_until(lambda: b"boots" in container.logs())
        assert not is_up(port)
        began = time.monotonic()
        container.stop(timeout=30)
        assert time.monotonic() - began < 25
        assert container.wait()["StatusCode"] == 0
    finally:
        container.remove(force=True)


def test_a_permanent_mode_survives_a_restart(client: docker.DockerClient) -> None:
    container = run(client, free_port(), environment={"MODE": "exit"})
    try:
        for _ in range(2):
            assert container.wait(timeout=30)["StatusCode"] == 1
            container.start()
    finally:
        container.remove(force=True)


def test_each_boot_is_written_to_the_data_volume(client: docker.DockerClient) -> None:
    port = free_port()
    container = run(client, port, volumes={"boots": {"bind": "/data"}}, environment={"DEMO_VERSION": "2.0"})
    try:
        wait_until(lambda: is_up(port))
        container.restart()
        wait_until(lambda: is_up(port))
        assert get(port)[1]["version"] == "2.0"
        assert container_output(container, "cat /data/boots").count("boot 20") == 2
    finally:
        container.remove(force=True)
        client.volumes.get("boots").remove()
