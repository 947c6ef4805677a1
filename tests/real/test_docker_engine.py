"""The engine client keeps the promises on a real Docker Engine, and what only a real one can show."""

from __future__ import annotations

import itertools
import threading
import time
import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import datetime
from typing import Any

import docker
import pytest

from dev.servers import free_port
from instances.containers.options import Options
from instances.containers.spec import ContainerSpec
from instances.engine import client as engine_client
from instances.engine.docker_engine import DockerEngine
from instances.engine.log_stream import CHUNK
from instances.errors import EngineUnreachable, NameTaken, PermanentError, TransientError
from instances.operations.steps import network
from tests.engine_promises import EnginePromises, LogOf, MakeSpec, facts_of
from tests.fakes.image_registry import ImageRegistry
from tests.real.images import Shelf
from tests.real.live import container_output, docker_client, wait_until
from tests.real.shell import Shell

pytestmark = pytest.mark.real

MEGABYTE = 1_000_000
MEMORY = 4 * MEGABYTE  # what reading any log may take at most


@pytest.fixture
def engine(docker_url: str) -> Iterator[DockerEngine]:
    with closing(DockerEngine(docker_url)) as engine:
        yield engine


@pytest.fixture
def prefix() -> str:
    return f"dkt-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def client(docker_url: str, prefix: str) -> Iterator[docker.DockerClient]:
    """The SDK's own client, to look behind our back; at the end everything named `prefix` is removed."""
    with docker_client(docker_url) as client:
        yield client
        for container in client.containers.list(all=True, filters={"name": prefix}):
            container.remove(force=True, v=True)
        for volume in client.volumes.list(filters={"name": prefix}):
            volume.remove()
        for network in client.networks.list(filters={"name": prefix}):
            network.remove()
        for image in client.images.list(filters={"reference": f"*/{prefix}"}):
            client.images.remove(str(image.id), force=True)


@pytest.fixture
def make_spec(client: docker.DockerClient, prefix: str, demo_image: str) -> MakeSpec:
    serial = itertools.count(1)

    def make(**changes: Any) -> ContainerSpec:
        name = f"{prefix}-{next(serial)}"
        usual: dict[str, Any] = {
            "name": name,
            "image": demo_image,
            "labels": {"dockmgr.managed": "true", "dockmgr.customer_id": name},
            "env": {"TOKEN": "t=1"},
            "volumes": {f"{name}-data": "/data"},
        }
        return ContainerSpec(**{**usual, **changes})

    return make


@pytest.fixture
def shell(client: docker.DockerClient, demo_image: str, prefix: str) -> Shell:
    return Shell(client, demo_image, prefix)


@pytest.fixture
def log_of(shell: Shell) -> LogOf:
    def write(data: bytes) -> str:
        octal = "".join(f"\\{byte:03o}" for byte in data)
        return shell.run(f"printf '{octal}'")

    return write


@pytest.fixture
def registry() -> Iterator[ImageRegistry]:
    registry = ImageRegistry()
    with registry.server.running():
        yield registry


@pytest.fixture
def missing_source() -> str:
    return "/dockmgr-test-no-such-folder"


@pytest.fixture
def lose_network(client: docker.DockerClient) -> Callable[[str], None]:
    return lambda name: client.networks.get(name).remove()


@pytest.fixture
def leave_network(client: docker.DockerClient) -> Callable[[str, str], None]:
    return lambda container, name: client.networks.get(name).disconnect(container)


@pytest.fixture
def unreachable_image() -> str:
    return f"127.0.0.1:{free_port()}/agent:1"


@pytest.fixture
def unknown_image(registry: ImageRegistry) -> str:
    return f"{registry.server.address}/agent:unknown"


class TestDockerEngine(EnginePromises):
    """All promises, on a real engine."""


def test_limits_and_safety_settings_reach_the_engine(
    engine: DockerEngine, client: docker.DockerClient, make_spec: MakeSpec
) -> None:
    spec = make_spec(nano_cpus=500_000_000, memory=64 << 20, pids_limit=77, stop_timeout=21)
    engine.create(spec)
    attributes = client.containers.get(spec.name).attrs
    host = attributes["HostConfig"]
    assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (500_000_000, 64 << 20, 64 << 20)
    assert (host["PidsLimit"], host["Init"], host["Privileged"]) == (77, True, False)
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert attributes["Config"]["StopTimeout"] == 21


def test_limits_hold_inside_the_container(
    engine: DockerEngine, client: docker.DockerClient, make_spec: MakeSpec
) -> None:
    spec = make_spec(pids_limit=30)  # the engine's own way in needs a few for a moment
    engine.create(spec)
    engine.start(spec.name)
    container = client.containers.get(spec.name)
    assert container_output(container, "/bin/busybox grep NoNewPrivs /proc/self/status").split() == [
        "NoNewPrivs:",
        "1",
    ]
    forks = "for i in $(seq 60); do sleep 1 & done"
    assert "can't fork" in container_output(container, f'sh -c "{forks}"')


def test_a_value_of_the_environment_arrives_as_it_is(
    engine: DockerEngine, client: docker.DockerClient, make_spec: MakeSpec
) -> None:
    value = "a=b 'c' \"d\" $HOME \\ é\nsecond line"
    spec = make_spec(env={"ODD": value, "EMPTY": ""})
    engine.create(spec)
    engine.start(spec.name)
    container = client.containers.get(spec.name)
    assert container_output(container, "sh -c 'printf %s \"$ODD\"'") == value
    assert facts_of(engine, spec.name).env.items() >= {"ODD": value, "EMPTY": ""}.items()


def test_a_variable_the_engine_refuses_is_not_quoted(engine: DockerEngine, make_spec: MakeSpec) -> None:
    spec = make_spec(env={"": "sentinel-value-1"})
    with pytest.raises(PermanentError) as caught:
        engine.create(spec)
    assert "sentinel" not in str(caught.value)
    assert engine.inspect(spec.name) is None


def test_an_address_the_host_does_not_have_will_never_work(engine: DockerEngine, make_spec: MakeSpec) -> None:
    spec = make_spec(bind_address="203.0.113.1", host_port=free_port())
    engine.create(spec)
    with pytest.raises(PermanentError):
        engine.start(spec.name)


@pytest.mark.parametrize(
    "options",
    [{"sysctls": {"net.core.somaxconn": "nonsense"}}, {"hostname": "h" * 65}],
    ids=lambda o: next(iter(o)),
)
def test_what_the_runtime_refuses_will_never_work(
    engine: DockerEngine, make_spec: MakeSpec, options: dict[str, Any]
) -> None:
    spec = make_spec(options=Options.model_validate(options))
    engine.create(spec)
    with pytest.raises(PermanentError, match="invalid argument"):
        engine.start(spec.name)


def test_processes_that_make_one_network_at_once_all_end_with_it(docker_url: str, prefix: str) -> None:
    start = threading.Barrier(6)

    def made(_: int) -> str:
        with closing(DockerEngine(docker_url)) as engine:
            start.wait(30)
            for _ in range(50):
                with suppress(TransientError):
                    return network.ready(engine, prefix).id
            return "never"

    with ThreadPoolExecutor(6) as threads, closing(DockerEngine(docker_url)) as engine:
        assert set(threads.map(made, range(6))) == {facts.id if (facts := engine.network(prefix)) else ""}


MANY_FILES = "mkdir /data; for n in $(seq 5000); do echo $n > /data/$n; done"


def test_a_container_that_takes_longer_than_anybody_waits_has_its_name_and_comes(
    docker_url: str, make_spec: MakeSpec, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(image=shelf.push_changed("full", f'RUN ["/bin/sh", "-c", "{MANY_FILES}"]'))
    with closing(DockerEngine(docker_url, timeout=0.5)) as engine:
        engine.pull(spec.image)
        monkeypatch.setattr(engine_client, "CHANGE_TIMEOUT", 0.0)
        monkeypatch.setattr(engine_client, "MAKING_SECONDS", 0.1)
        with pytest.raises(EngineUnreachable):
            engine.create(spec)
        with pytest.raises(NameTaken):
            engine.create(spec)
        assert engine.inspect(spec.name) is None
        wait_until(lambda: engine.inspect(spec.name) is not None)
        assert facts_of(engine, spec.name).volumes == spec.volumes


def test_stopping_waits_longer_than_the_client_is_patient(docker_url: str, shell: Shell) -> None:
    name = shell.start("trap '' TERM; while true; do sleep 0.1; done", init=False)
    with closing(DockerEngine(docker_url, timeout=1)) as engine:
        start = time.monotonic()
        engine.stop(name, timeout=2)
        assert time.monotonic() - start >= 2
        facts = facts_of(engine, name)
    assert (facts.state, facts.exit_code) == ("exited", 137)


def test_a_crash_loop_shows_in_restart_count_and_exit_code(engine: DockerEngine, shell: Shell) -> None:
    name = shell.start("exit 3", restart_policy={"Name": "on-failure", "MaximumRetryCount": 2})
    wait_until(lambda: facts_of(engine, name).state == "exited")
    facts = facts_of(engine, name)
    assert (facts.restart_count, facts.exit_code, facts.oom_killed) == (2, 3, False)


def test_a_tag_that_moved_is_pulled_anew(
    engine: DockerEngine, registry: ImageRegistry, client: docker.DockerClient, prefix: str
) -> None:
    ref = f"{registry.server.address}/{prefix}:latest"
    heard: list[str] = []
    registry.push(f"{prefix}:latest", f"{prefix} one")
    first = engine.pull(ref, heard.append)
    assert first.id in registry.ids(f"{prefix}:latest") and heard
    registry.push(f"{prefix}:latest", f"{prefix} two")
    second = engine.pull(ref)
    assert second.id in registry.ids(f"{prefix}:latest")
    assert second.id != first.id and second.labels == {"content": f"{prefix} two"}


def test_a_spoilt_layer_fails_the_pull_and_leaves_the_old_image(
    engine: DockerEngine, registry: ImageRegistry, client: docker.DockerClient, prefix: str
) -> None:
    ref = f"{registry.server.address}/{prefix}:latest"
    registry.push(f"{prefix}:latest", f"{prefix} one")
    first = engine.pull(ref)
    registry.push(f"{prefix}:latest", f"{prefix} two", spoilt=True)
    with pytest.raises(TransientError):
        engine.pull(ref)
    image = engine.image(ref)
    assert image == first


def measured(engine: DockerEngine, name: str, **options: Any) -> tuple[int, int, int]:
    """Read a whole log: its size, its biggest chunk and the peak of memory, in bytes."""
    size = biggest = 0
    tracemalloc.start()
    try:
        with closing(engine.logs(name, lines=10**9, **options)) as log:
            for chunk in log:
                size, biggest = size + len(chunk), max(biggest, len(chunk))
        return size, biggest, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.thorough
def test_a_line_of_100_megabytes_is_read_in_bounded_memory(engine: DockerEngine, shell: Shell) -> None:
    name = shell.run("busybox dd if=/dev/zero bs=1000000 count=100 2>/dev/null | busybox tr '\\0' x")
    size, biggest, memory = measured(engine, name)
    assert size == 100 * MEGABYTE
    assert biggest <= CHUNK
    assert memory < MEMORY


def test_a_terminals_log_has_no_frames_and_is_bounded_too(engine: DockerEngine, shell: Shell) -> None:
    name = shell.run(f"echo hello; busybox yes {'y' * 198} | busybox head -n 10000", tty=True)
    with closing(engine.logs(name, lines=10**9)) as log:
        assert b"".join(log).startswith(b"hello\r\n")
    size, biggest, memory = measured(engine, name)
    assert size == len(b"hello\r\n") + 2 * MEGABYTE
    assert biggest <= CHUNK
    assert memory < MEMORY


def test_standard_error_is_part_of_the_log(engine: DockerEngine, shell: Shell) -> None:
    name = shell.run("echo out; sleep 0.2; echo err >&2")
    with closing(engine.logs(name, lines=5)) as log:
        assert b"".join(log) == b"out\nerr\n"


def test_timestamps_lead_the_lines_and_since_leaves_out_what_was_before(
    engine: DockerEngine, shell: Shell
) -> None:
    name = shell.run("echo one; sleep 0.2; echo two")
    with closing(engine.logs(name, lines=5, timestamps=True)) as log:
        stamped = [line.split() for line in b"".join(log).decode().splitlines()]
    assert [line[1] for line in stamped] == ["one", "two"]
    times = [datetime.fromisoformat(line[0]) for line in stamped]
    assert all(time.tzinfo for time in times)
    with closing(engine.logs(name, lines=5, since=times[1])) as log:
        assert b"".join(log) == b"two\n"


def test_following_goes_on_through_silence_and_ends_with_the_container(docker_url: str, shell: Shell) -> None:
    name = shell.start("echo one; sleep 1.5; echo two")
    with closing(DockerEngine(docker_url, timeout=1)) as engine:
        with closing(engine.logs(name, lines=5, follow=True)) as log:
            assert b"".join(log) == b"one\ntwo\n"
        assert facts_of(engine, name).exit_code == 0


def test_a_silent_follow_ends_when_another_thread_closes_it(engine: DockerEngine, shell: Shell) -> None:
    name = shell.start("echo one; sleep 60")
    log = engine.logs(name, lines=5, follow=True)
    first, read = threading.Event(), []

    def follow() -> None:
        for chunk in log:
            read.append(chunk)
            first.set()

    reader = threading.Thread(target=follow)
    reader.start()
    assert first.wait(30)
    log.close()
    reader.join(30)
    assert not reader.is_alive()
    assert read == [b"one\n"]
    engine.ping()
